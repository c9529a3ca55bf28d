"""Maps of attention heads."""

import pandas as pd
import pytest
from pictures import labelled, measures

from rareneurons.figures.attention import head_map

pytestmark = pytest.mark.usefixtures("style")


def test_head_map_greys_what_cannot_reach():
    table = measures("head_effect", conditions=("rare", "common"))
    table = table[table["step"] == 16].assign(layer=0, head=1)
    unreachable = table[table["measure"] == "head_effect"].assign(measure="structurally_zero", layer=1)
    figure = labelled(head_map(pd.concat([table, unreachable]), ["missing", "plateau"]))
    grid = figure.axes[0].collections[0].get_array()
    assert grid.shape == (2, 2)
    assert grid.mask.sum() == 3
