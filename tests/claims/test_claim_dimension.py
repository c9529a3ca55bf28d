"""C3 follows adjusted p and interval."""

import numpy as np
import pandas as pd
import pytest
from claim_tables import BOUNDS, dimension_table, tables_for

from rareneurons.claims import decide


def decided(**given) -> pd.Series:
    return decide(tables_for(["a"]) | {"coordination": dimension_table(**given)}, BOUNDS).set_index("claim").loc["C3"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, "supported"),
        ({"q": 0.051}, "undecided"),
        ({"value": 0.65, "gap": (0.05, 0.13)}, "contradicted"),  # significant in the other direction
        ({"value": 0.56, "gap": (-0.05, 0.05), "q": 0.6}, "contradicted"),
        ({"value": 0.56, "gap": (-0.08, 0.05), "q": 0.6}, "undecided"),  # a reduction by 0.07 is not excluded
        ({"value": 0.53, "gap": (-0.05, -0.01), "q": 0.6}, "undecided"),  # no reduction is
        ({"value": 0.56, "gap": (-0.05, 0.05), "q": 0.6, "null": (0.56, 0.4, 0.8)}, "undecided"),  # no power
        ({"value": np.nan, "q": np.nan}, "undecided"),
    ],
)
def test_dimension_claim_follows_adjusted_p_and_interval(given, expected):
    assert decided(**given)["verdict"] == expected


def test_dimension_claim_says_value_null_interval_p_and_that_there_is_no_plateau():
    row = decided()
    assert (row["value"], row["ci_low"], row["ci_high"]) == pytest.approx((-0.07, -0.1, -0.04))
    assert (row["p_value"], row["bound"]) == (0.02, 0.05)
    for said in (
        *("0.49 of their number", "87% of the mean over 200 matched groups, 0.56", "0.53 to 0.59", "-0.1 to -0.04"),
        *("p = 0.01, adjusted 0.02", "there is no plateau to speak of"),
    ):
        assert said in row["sentence"]
    with_plateau = decide(tables_for(["a"], plateau=(1, 0)), BOUNDS).set_index("claim").loc["C3", "sentence"]
    assert "to speak of" not in with_plateau
    assert "2 neurons, at least 3 are needed" in decided(value=np.nan, q=np.nan)["sentence"]


def test_the_fixed_plateau_stands_in_where_none_is_fitted():
    row = decided(group="fixed_plateau")
    assert row["verdict"] == "supported"
    assert "fixed_plateau" in row["statistic"]
    tables = tables_for(["a"])
    tables["coordination"] = pd.concat([dimension_table(step=2), dimension_table(group="fixed_plateau")])
    row = decide(tables, BOUNDS).set_index("claim").loc["C3"]
    assert "fixed_plateau" in row["statistic"]
    assert "at step16" in row["sentence"], "the last checkpoint counts, not the last that has a plateau"
