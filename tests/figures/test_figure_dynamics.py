"""The final head through training, and turnover."""

import numpy as np
import pandas as pd
import pytest
from pictures import labelled

from rareneurons.figures.dynamics import final_head_and_turnover

pytestmark = pytest.mark.usefixtures("style")


def test_heat_map_and_turnover_of_each_model():
    steps = [0, 4, 16]
    ranks = pd.DataFrame(
        [("a", step, "plateau", 7 - n, n, n / 10) for step in steps for n in range(1, 6)],
        columns=["model", "step", "group", "neuron", "final_rank", "rank_fraction"],
    )
    dynamics = pd.DataFrame(
        [
            ("a", step, condition, f"kept.top_33{suffix}", 0.5)
            for step in steps
            for condition in ("rare", "common")
            for suffix in ("", ".same_checkpoint")
        ],
        columns=["model", "step", "condition", "measure", "value"],
    )
    figure = labelled(final_head_and_turnover(ranks, dynamics, ["rare", "common"], 33))
    grid = figure.axes[0].collections[0].get_array()
    np.testing.assert_allclose(np.asarray(grid).reshape(5, 3)[:, 0], np.arange(1, 6) / 10)
    assert "plateau, n = 5" in figure.axes[0].get_title()
    assert len(figure.axes[1].lines) == 4
