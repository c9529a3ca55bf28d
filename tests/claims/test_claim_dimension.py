"""C3 follows the larger p, the interval, and how good the controls are."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from claim_tables import BOUNDS, VIEW, dimension_table, match_table, row_of, tables_for


def decided(plateau=(1, 0), **given) -> pd.Series:
    tables = tables_for(["a"], plateau=plateau) | {"coordination": dimension_table(**given)}
    return row_of("C3", tables)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, "supported"),
        ({"q": 0.051}, "undecided"),
        ({"value": 0.65, "gap": (0.05, 0.13)}, "contradicted"),  # significant in the other direction
        ({"value": 0.56, "gap": (-0.05, 0.05), "q": 0.6}, "contradicted"),
        ({"value": 0.53, "gap": (-0.05, -0.01), "q": 0.6}, "contradicted"),  # lower, but by less than would matter
        ({"value": 0.56, "gap": (-0.08, 0.05), "q": 0.6}, "undecided"),  # a reduction by 0.07 is not excluded
        ({"value": 0.56, "gap": (-0.05, 0.05), "q": 0.6, "null": (0.56, 0.4, 0.8)}, "undecided"),  # no power
        ({"value": np.nan, "q": np.nan}, "undecided"),
    ],
)
def test_dimension_claim_follows_p_and_interval(given, expected):
    assert decided(**given)["verdict"] == expected


def test_dimension_row_is_a_share_of_the_matched_mean_and_says_its_numbers():
    row = decided()
    assert (row["value"], row["ci_low"], row["ci_high"]) == pytest.approx((-0.07 / 0.56, -0.1 / 0.56, -0.04 / 0.56))
    assert (row["p_value"], row["bound"], row["n"]) == (0.02, -0.125, 100)
    assert row["sentence"] == (
        "Supported for a at step16: the effective dimension of the activity of the 20 plateau neurons is 12.5 % below "
        "that of matched groups (95 % interval -17.9 % to -7.1 %; 100 rows; p = 0.02) and 12.5 % below that of groups "
        "chosen with shuffled labels (p = 0.01)."
    )
    for said in (
        "0.49, mean of 200 matched groups 0.56 (95 % of them: 0.53 to 0.59)",
        "mean of 200 groups chosen with shuffled labels 0.56",
        "matched groups differ from these neurons by -0.2 standard deviations in ln variance of activations",
    ):
        assert said in row["evidence"]
    assert "The test uses the larger p of the two, which is not adjusted" in row["rule"]
    assert "threshold for a relevant reduction: 12.5 %" in decided(q=0.3)["sentence"]
    assert "16.1 % above that of matched groups" in decided(value=0.65, gap=(0.05, 0.13))["sentence"]
    assert "2 neurons, at least 3 are needed" in decided(value=np.nan, q=np.nan)["need"]


def test_what_shuffled_labels_choose_too_is_reported_as_theirs_and_never_supported():
    """Below matched groups by any p, but not below the groups of shuffled labels."""
    for shuffled in ({"q": 0.3, "null": (0.5, 0.45, 0.55)}, {"q": 0.04, "null": (0.48, 0.45, 0.55)}):
        row = decided(q=0.005, shuffled=shuffled)
        assert row["verdict"] == "undecided"
        assert row["p_value"] == shuffled["q"]
        assert "these neurons are coordinated, but so are neurons chosen with shuffled labels" in row["sentence"]
        assert row["need"].startswith("neurons that are specific to rare targets")
    only_shuffled = decided(q=0.3, gap=(-0.12, 0.01), shuffled={"q": 0.005})
    assert (only_shuffled["verdict"], only_shuffled["p_value"]) == ("undecided", 0.3)
    assert "coordinated" not in only_shuffled["sentence"]


@pytest.mark.parametrize("worst", [0.26, -0.9])
def test_controls_that_do_not_match_decide_nothing(worst):
    """Whatever p and interval say; the quantity and its number are named."""
    for given in ({}, {"value": 0.56, "gap": (-0.05, 0.05), "q": 0.6}):
        tables = tables_for(["a"], plateau=(1, 0)) | {"coordination": dimension_table(**given)}
        tables["group_match"] = match_table(["a"], worst)
        row = row_of("C3", tables, VIEW, BOUNDS)
        assert row["verdict"] == "undecided"
        said = f"matched groups differ from these neurons by {-worst:+g} standard deviations in ln variance"
        assert f"there are no suitable control groups, because {said}" in row["sentence"]
        assert said in row["need"]
    missing = tables | {"group_match": match_table(["a"], 0.1, groups=("top_33",))}
    row = row_of("C3", missing, VIEW, BOUNDS)
    assert row["verdict"] == "undecided"
    assert "tables/group_match.csv has no row of this group" in row["need"]
    at_random = dimension_table(against="random")
    view = replace(VIEW, controls="random", group="plateau")  # random groups are not meant to match
    row = row_of("C3", missing | {"coordination": at_random}, view, BOUNDS)
    assert row["verdict"] == "supported"


def test_without_groups_of_shuffled_labels_there_is_no_verdict():
    table = dimension_table()
    tables = tables_for(["a"], plateau=(1, 0)) | {"coordination": table[table["against"] == "matched"]}
    row = row_of("C3", tables, VIEW, BOUNDS)
    assert row["verdict"] == "undecided"
    assert "no control groups" in row["need"]


def test_without_a_declared_plateau_the_fixed_cut_is_looked_at_even_where_one_is_fitted():
    both = pd.concat([dimension_table(), dimension_table("top_33", value=0.56, gap=(-0.05, 0.05), q=0.6)])
    tables = tables_for(["a"]) | {"coordination": both}
    row = row_of("C3", tables)
    assert "(top_33, rare)" in row["statistic"]
    assert row["verdict"] == "contradicted"
    assert "the 33 most influential neurons" in row["sentence"]
    assert "no plateau is declared" in row["evidence"]


def test_need_of_a_dimension():
    """z of the difference -0.07 is 4.6 by the controls' spread 0.0153; at 0.1 instead of 0.02 the p is too large."""
    for_a_yes = decided(value=0.53, gap=(-0.1, 0.04), q=0.3)["need"]
    assert for_a_yes.startswith("to support it, a group of ")
    assert "neurons (20 here); or to contradict it, " in for_a_yes
    assert "times as many held-out documents (" in for_a_yes
    assert "rows instead of 100)" in for_a_yes
    too_wide = decided(value=0.56, gap=(-0.05, 0.05), q=0.6, null=(0.56, 0.42, 0.7))["need"]
    assert too_wide == "to contradict it, a group of 80 neurons (20 here)"  # 0.14 must be 0.07: four times as many
    strict = replace(BOUNDS, alpha=0.001)
    tables = tables_for(["a"], plateau=(1, 0)) | {"coordination": dimension_table(gap=(-0.08, 0.02), q=0.005)}
    few = row_of("C3", tables, VIEW, strict)["need"]
    assert "to support it, 999 control groups (`groups.controls`; 200 here)" in few
    hopeless = decided(value=0.555, gap=(-0.30, 0.29), q=0.9, null=(0.56, 0.2, 0.9))["need"]
    assert "more neurons or held-out documents are unlikely to resolve this" in hopeless
    assert decided()["need"] == ""
