"""Maps of WeightWatcher columns."""

import numpy as np
import pandas as pd
import pytest

from rareneurons.figures.spectra import weightwatcher_map

pytestmark = pytest.mark.usefixtures("style")


def test_weightwatcher_map_keeps_matrices_without_alpha():
    table = pd.DataFrame(
        {
            "model": "a",
            "step": [0, 8, 0, 8],
            "matrix": ["x.layers.0.w.weight"] * 2 + ["embed_in.weight"] * 2,
            "alpha": [2.0, 3.0, np.nan, np.nan],
        }
    )
    figure = weightwatcher_map(table, "alpha", "alpha")
    assert [t.get_text() for t in figure.axes[0].get_yticklabels()] == ["0.w", "embed_in"]


def test_weightwatcher_map_has_one_row_for_all_experts():
    names = [f"model.layers.{layer}.mlp.experts.{expert}.up_proj.weight" for layer in (0, 1) for expert in range(3)]
    table = pd.DataFrame({"model": "a", "step": 0, "matrix": names, "alpha": [2.0, 3.0, 7.0, 1.0, 1.0, np.nan]})
    axis = weightwatcher_map(table, "alpha", "alpha").axes[0]
    assert [t.get_text() for t in axis.get_yticklabels()] == ["0.mlp.experts.up_proj", "1.mlp.experts.up_proj"]
    assert axis.collections[0].get_array().ravel().tolist() == [4.0, 1.0]
