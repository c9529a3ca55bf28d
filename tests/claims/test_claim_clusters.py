"""C4 is an equivalence statement."""

import numpy as np
import pandas as pd
import pytest
from claim_tables import BOUNDS, VIEW, clusters_table, tables_for

from rareneurons.claims import decide


def clusters_row(plateau=(1, 0), **numbers) -> pd.Series:
    tables = tables_for(["a"], plateau=plateau) | {"organization": clusters_table(["a"], **numbers)}
    return decide(tables, VIEW, BOUNDS).set_index("claim").loc["C4"]


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
    assert (row["need"] == "") == (expected != "undecided")


def test_clusters_row_says_value_interval_null_and_p():
    row = clusters_row(value=0.37, low=0.31, high=0.4)
    assert row["sentence"] == (
        "Contradicted for a at step16: signed modularity of the 20 plateau neurons is 0.17 higher than in matched "
        "groups (95 % interval +0.11 to +0.2; 5 rows; threshold for clusters: +0.1)."
    )
    for part in ("signed modularity 0.37, mean of 99 matched groups 0.2", "adjusted p = 0.02"):
        assert part in row["evidence"]
    assert "above 0.1" in row["rule"]
    assert "0.1 lower than" in clusters_row(value=0.1, low=0.05, high=0.15)["sentence"]


def test_clusters_without_a_plateau_are_those_of_the_fixed_cut_and_unmeasured_ones_undecided():
    row = clusters_row(plateau=(0, 0), group="top_33")
    assert "(top_33, rare)" in row["statistic"]
    assert "the 33 most influential neurons" in row["sentence"]
    assert row["evidence"].endswith("no plateau is declared, so these are the neurons before the paper's fixed cut")
    assert "no plateau" not in clusters_row()["evidence"]
    row = clusters_row(value=np.nan, low=np.nan, high=np.nan, q=np.nan, reason="2 neurons, at least 3 are needed")
    assert row["verdict"] == "undecided"
    assert "2 neurons, at least 3 are needed" in row["sentence"]
    assert row["need"].endswith("2 neurons, at least 3 are needed")


def test_need_of_clusters():
    spans = clusters_row(value=0.3, low=0.25, high=0.35)["need"]  # on the margin: (1.96 / 0.2533)^2 - 1 = 58.9
    assert spans == "59.1 times as many held-out documents (300 rows instead of 5)"
    by_chance = clusters_row(value=0.35, low=0.31, high=0.4, q=0.3)["need"]  # 0.15 against a spread of 0.051
    assert by_chance == "a group of 30 neurons (20 here)", "either tail counts: for one 24 would do"
    assert "ten bootstrap draws" in clusters_row(low=np.nan, high=np.nan)["need"]
