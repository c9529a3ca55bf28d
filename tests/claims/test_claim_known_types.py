"""S1, C8s and C3s: known types of neurons, and what is left of C8 and C3 without them."""

import numpy as np
import pandas as pd
import pytest
from claim_tables import BOUNDS, VIEW, dimension_table, groups_table, match_table, row_of, selectivity_table, tables_for
from planted_choices import QUIET, planted_choice

from rareneurons.claims.known_types import decide_selectivity_without_types
from rareneurons.claims.selectivity import decide_selectivity
from rareneurons.tables import CheckpointName, Estimate, measure_frame

TOP, SELECTIVE = "top_33_without_types", "selective_33_without_types"


def verdicts(without_types, draws, **planted):
    decide = decide_selectivity_without_types if without_types else decide_selectivity
    for seed in range(draws):
        rng = np.random.default_rng([seed, 29])
        table, groups = planted_choice(rng, QUIET, without_types=without_types, **planted)
        yield decide({"joint": table, "groups": groups}, VIEW, BOUNDS).verdict


@pytest.mark.calibration
def test_selectivity_made_by_token_frequency_neurons_alone_is_gone_without_them():
    """C8 is supported in at least 80 % of 20 draws, C8s in at most 5 % of 60."""
    planted = {"only_frequency": True, "strength": 2.0}
    assert np.mean([each == "supported" for each in verdicts(False, 20, **planted)]) >= 0.8
    assert np.mean([each == "supported" for each in verdicts(True, 60, **planted)]) <= 0.05


@pytest.mark.calibration
def test_selectivity_made_by_others_stays_without_known_types():
    """C8s is supported in at least 80 % of 20 draws."""
    assert np.mean([each == "supported" for each in verdicts(True, 20)]) >= 0.8


def remaining_table(value, half, p, group="top_33", reason=""):
    """What S1 reads of a group: the share of its joint effect that neurons of no known type have."""
    names = {"part": "less_known_types", "quantity": "ratio"}
    share = Estimate("delta_loss", value, "share", 300, value - half, value + half, p, reason, **names)
    return measure_frame(CheckpointName("a", "step16"), [("rare", group, share)])


def types_table(share, null, p, group="top_33"):
    """Shares of neurons that are of each type, against matched groups."""
    found = [
        Estimate(name, share, "share of neurons", 33, p_value=p, null_mean=null, null_n=100, against="matched")
        for name in ("known_type", "entropy_neuron", "frequency_neuron", "frequency_share", "norm_share")
    ]
    return measure_frame(CheckpointName("a", "step16"), [("rare", group, each) for each in found])


def s1(*joint, types=None):
    tables = tables_for(["a"]) | {"neuron_types": types_table(0.2, 0.1, 0.04) if types is None else types}
    return row_of("S1", tables | {"joint": pd.concat([tables["joint"], *joint])})


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ((0.2, 0.1, 0.01), "supported"),
        ((0.8, 0.1, 0.01), "contradicted"),
        ((1.0, 0.0, 0.01), "contradicted"),
        ((0.4, 0.2, 0.3), "undecided"),
        ((1.0, 0.0, 0.3), "undecided"),
    ],
)
def test_the_share_of_the_effect_without_known_types_decides(given, expected):
    assert s1(remaining_table(*given))["verdict"] == expected


def test_row_of_known_types_says_overlap_share_and_both_groups():
    types = pd.concat([types_table(0.2, 0.1, 0.04), types_table(0.5, 0.3, 0.01, "selective_33")])
    joint = remaining_table(0.8, 0.1, 0.01), remaining_table(0.4, 0.05, 0.01, "selective_33")
    row = s1(*joint, types=types)
    assert (row["value"], row["ci_low"], row["n"], row["bound"]) == pytest.approx((0.8, 0.7, 300, 0.5))
    assert "20 % of the 33 most influential neurons are token-frequency or entropy neurons" in row["sentence"]
    assert "(matched groups: 10 %, p = 0.04)" in row["sentence"]
    assert "the other neurons have 80 % of the joint effect" in row["sentence"]
    assert "the 33 most rare-selective neurons: share of the joint effect without known types 0.4" in row["evidence"]
    assert "entropy neurons 50 % (matched groups 30 %, p = 0.01)" in row["evidence"]
    assert "Stolfo et al. (2024)" in row["rule"]


def test_a_group_without_a_share_says_why():
    row = s1(remaining_table(np.nan, 0, np.nan, reason="ablating the group does not raise the loss"))
    assert row["verdict"] == "undecided"
    assert "ablating the group does not raise the loss" in row["sentence"]
    assert "no row of this group in tables/joint.csv" in s1()["sentence"]
    assert "than chance" in s1(remaining_table(1.0, 0, 0.3))["need"]
    assert "times as many held-out documents" in s1(remaining_table(0.4, 0.2, 0.3))["need"]


def without_types(selective=(0.1, 0.02), **dimension):
    """Tables in which C8 finds nothing, and groups of no known type have the given numbers."""
    tables = tables_for(["a"])
    number = {"matched": selective, "shuffled": selective}
    joint = [selectivity_table("a", SELECTIVE, **number), selectivity_table("a", TOP, matched=(0.0, 0.02))]
    groups = groups_table(["a"])
    more = [
        groups[groups["group"] == base].assign(group=new)
        for base, new in (("top_33", TOP), ("selective_33", SELECTIVE))
    ]
    return tables | {
        "joint": pd.concat([selectivity_table("a", matched=(0.0, 0.02)), *joint]),
        "groups": pd.concat([groups, *more]),
        "group_match": pd.concat([match_table(["a"]), match_table(["a"], groups=(TOP, SELECTIVE))]),
        "coordination": pd.concat([dimension_table(name, **dimension) for name in (TOP, SELECTIVE)]),
    }


def test_rules_of_c8_and_c3_are_applied_to_neurons_of_no_known_type():
    tables = without_types()
    c8s, c3s = row_of("C8s", tables), row_of("C3s", tables)
    assert (c8s["verdict"], c3s["verdict"]) == ("supported", "supported")
    assert row_of("C8", tables)["verdict"] == "undecided"
    assert "the 33 most rare-selective neurons of no known type" in c8s["sentence"]
    assert "the 33 most rare-selective neurons of no known type" in c3s["sentence"]
    assert "C8s finds that these neurons matter more for rare targets" in c3s["evidence"]
    assert c8s["rule"].startswith("token-frequency or entropy neurons")
    open_premise = row_of("C3s", without_types(selective=(0.0, 0.02)))
    assert open_premise["verdict"] == "undecided"
    said = "the effective dimension of the activity of the 33 most influential neurons of no known type"
    assert f"C8s does not decide whether these matter more for rare targets: {said}" in open_premise["sentence"]
    assert "(see C8s)" in open_premise["need"]


def test_without_groups_of_no_known_type_nothing_is_measured():
    tables = tables_for(["a"])
    for claim in ("C8s", "C3s"):
        row = row_of(claim, tables)
        assert row["verdict"] == "undecided"
        assert "it was not measured" in row["sentence"]
