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
