"""C4 is an equivalence statement."""

import numpy as np
import pandas as pd
import pytest
from claim_tables import BOUNDS, clusters_table, tables_for

from rareneurons.claims import decide


def clusters_row(plateau=(1, 0), **numbers) -> pd.Series:
    tables = tables_for(["a"], plateau=plateau) | {"organization": clusters_table(["a"], **numbers)}
    return decide(tables, BOUNDS).set_index("claim").loc["C4"]


@pytest.mark.parametrize(
    ("low", "high", "q", "expected"),
    [
        (0.15, 0.29, 0.02, "supported"),  # upper end of the difference 0.09
        (0.15, 0.29, 0.9, "supported"),
        (0.15, 0.31, 0.02, "undecided"),  # the interval spans the margin
        (0.31, 0.40, 0.02, "contradicted"),
        (0.31, 0.40, 0.06, "undecided"),
        (np.nan, np.nan, 0.02, "undecided"),
    ],
)
def test_no_clusters_is_an_equivalence_statement(low, high, q, expected):
    row = clusters_row(low=low, high=high, q=q)
    assert row["verdict"] == expected
    assert row["bound"] == 0.1
    assert row["p_value"] == q
    assert (row["ci_low"], row["ci_high"]) == pytest.approx((low - 0.2, high - 0.2), nan_ok=True)


def test_clusters_row_says_value_null_interval_p_and_whether_there_is_a_plateau():
    sentence = clusters_row(plateau=(0, 0), low=0.31, high=0.4)["sentence"]
    for part in ("is 0.3,", "0.2 on average", "difference 0.1 (95 % interval 0.11 to 0.2)", "p = 0.02", "no plateau"):
        assert part in sentence
    assert "no plateau" not in clusters_row()["sentence"]


def test_clusters_of_an_unmeasured_group_are_undecided_and_of_no_group_those_of_the_fixed_one():
    row = clusters_row(value=np.nan, low=np.nan, high=np.nan, q=np.nan, reason="2 neurons, at least 3 are needed")
    assert row["verdict"] == "undecided"
    assert "2 neurons, at least 3 are needed" in row["sentence"]
    assert "fixed_plateau" in clusters_row(group="fixed_plateau")["statistic"]
