"""C4 says no clusters only with power, and clusters only where they matter."""

import numpy as np
import pandas as pd
import pytest
from claim_tables import clusters_table, row_of, tables_for


def clusters_row(plateau=(1, 0), **numbers) -> pd.Series:
    tables = tables_for(["a"], plateau=plateau) | {"organization": clusters_table(["a"], **numbers)}
    return row_of("C4", tables)


@pytest.mark.parametrize(
    ("gap", "p", "power", "expected"),
    [
        ((0.01, 0.04), 0.2, 0.9, "supported"),
        ((0.01, 0.04), 0.2, 0.79, "undecided"),  # planted blocks would not have been found
        ((0.01, 0.04), 0.2, np.nan, "undecided"),
        ((0.01, 0.06), 0.2, 0.9, "undecided"),  # the interval spans the margin
        ((0.01, 0.04), 0.04, 0.9, "undecided"),  # beyond chance, but too faint to matter
        ((0.06, 0.10), 0.04, 0.9, "contradicted"),
        ((0.06, 0.10), 0.04, 0.1, "contradicted"),  # what is found needs no power
        ((0.06, 0.10), 0.06, 0.9, "undecided"),
        ((0.04, 0.10), 0.04, 0.9, "undecided"),
        ((np.nan, np.nan), 0.04, 0.9, "undecided"),
    ],
)
def test_no_clusters_takes_power_and_clusters_a_margin(gap, p, power, expected):
    row = clusters_row(gap=gap, p=p, power=power)
    assert row["verdict"] == expected
    assert row["bound"] == 0.05
    assert row["p_value"] == p, "the test is one, so its p is not adjusted"
    assert row["power"] == pytest.approx(power, nan_ok=True)
    assert (row["ci_low"], row["ci_high"]) == pytest.approx(gap, nan_ok=True)
    assert (row["need"] == "") == (expected != "undecided")


def test_clusters_row_says_excess_interval_null_controls_and_power():
    row = clusters_row(value=0.36, gap=(0.06, 0.1), p=0.005)
    assert row["sentence"] == (
        "Contradicted for a at step16: the communities of the 20 plateau neurons are 0.08 more separate than those of "
        "rotated neurons with the same components (95 % interval +0.06 to +0.1; 500 rows; p = 0.005; threshold for "
        "clusters: +0.05)."
    )
    for part in (
        "separation 0.36, mean of 199 rotations 0.28",
        "a common factor with 40 % of the variance is taken out",
        "finds 90 % of planted divisions with a correlation of 0.3 within blocks",
        "mean of 99 matched groups 0.25, p = 0.2",
    ):
        assert part in row["evidence"]
    assert "above 0.05" in row["rule"]
    assert "no common factor is taken out" in clusters_row(factor=0.0)["evidence"]
    assert "less separate" in clusters_row(value=0.2)["sentence"]
    assert clusters_row()["sentence"].endswith(
        "and the test would find 90 % of planted divisions (correlation 0.3 within blocks)."
    )
    assert clusters_row(power=0.3)["sentence"].endswith(
        "would find only 30 % of planted divisions (correlation 0.3 within blocks)."
    )


def test_clusters_without_a_plateau_are_those_of_the_top_neurons_and_unmeasured_ones_undecided():
    row = clusters_row(plateau=(0, 0), group="top_33")
    assert "(top_33, rare)" in row["statistic"]
    assert "the 33 most influential neurons" in row["sentence"]
    row = clusters_row(value=np.nan, p=np.nan, gap=(np.nan, np.nan), reason="2 neurons, at least 3 are needed")
    assert row["verdict"] == "undecided"
    assert "2 neurons, at least 3 are needed" in row["sentence"]
    assert row["need"].endswith("2 neurons, at least 3 are needed")


def test_need_of_clusters():
    found = "until the test finds 80 % of planted divisions with a correlation of 0.3 within blocks (50 % here)"
    few_rows = clusters_row(power=0.5, null=(0.28, 0.276, 0.284))["need"]
    assert few_rows == f"to support it, more documents (more than the 500 held-out rows here), {found}"
    few_neurons = clusters_row(power=0.5)["need"]
    assert few_neurons.startswith(
        f"to support it, a larger group of neurons, {found}; more documents would not help, since the standard "
        "deviation between rotations of so few neurons is 0.026,"
    )
    spans = clusters_row(gap=(-0.02, 0.06), value=0.3)["need"]
    assert "times as many held-out documents" in spans
    faint = clusters_row(gap=(0.01, 0.04), p=0.01)["need"]
    assert "they are too faint to count as clusters (+0.02, threshold +0.05)" in faint
    by_chance = clusters_row(value=0.36, gap=(0.07, 0.09), p=0.2)["need"]
    assert by_chance.startswith("to contradict it, a group of")
    assert "ten bootstrap draws" in clusters_row(gap=(np.nan, np.nan), p=0.01)["need"]
