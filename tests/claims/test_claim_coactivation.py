"""P1a: co-activation and avoidance, each against matched and shuffled groups."""

import numpy as np
import pandas as pd
import pytest
from claim_tables import BOUNDS, VIEW, compared, groups_table, match_table, row_of, selectivity_table, tables_for

from rareneurons.claims.coactivation import decide_coactivation
from rareneurons.conventions import TOP, TOP_SIZE
from rareneurons.coordination.estimates import CoordinationSettings, activation_coordination
from rareneurons.groups import ControlledGroup, neuron_features
from rareneurons.matching import resembling_groups
from rareneurons.stats import document_weights
from rareneurons.tables import CheckpointName, measure_frame

DRAWS, N_NEURONS, ROWS = 40, 160, 240


def verdict_of(rng, together, apart):
    """P1a for neurons with a factor in common, of which other neurons have the opposite."""
    members, factor = np.arange(TOP_SIZE), rng.normal(size=(ROWS, 1))
    activation = rng.normal(size=(ROWS, N_NEURONS))
    activation[:, members] += together * factor
    activation[:, 40:110] -= apart * factor
    features, others = neuron_features(activation, np.ones((N_NEURONS, 1))).standardised(), np.arange(40, N_NEURONS)
    everyone = np.union1d(members, others)
    drawn = np.array([rng.choice(everyone, TOP_SIZE, replace=False) for _ in range(99)])
    matched, permuted = (resembling_groups(members, pool, features, 99, rng) for pool in (others, everyone))
    group = ControlledGroup(members, {"matched": matched, "shuffled": drawn}, permuted=permuted)
    document = np.arange(ROWS) // 16
    weights = document_weights(len(set(document)), 2, rng)
    given = activation, document, {TOP: group}, weights, CoordinationSettings(row_shares=()), rng
    found, _ = activation_coordination(*given)
    tables = tables_for(["m"]) | {
        "coordination": measure_frame(CheckpointName("m", "step16"), [("rare", *each) for each in found]),
        "groups": groups_table(["m"]),
        "group_match": match_table(["m"], worst=0.1),
    }
    return decide_coactivation(tables, VIEW, BOUNDS).verdict


@pytest.mark.calibration
@pytest.mark.parametrize(
    ("together", "apart", "least", "most"),
    [(0.7, 0.0, 0, 0.05), (0.7, 0.5, 0.9, 1)],
    ids=["together_alone", "both"],
)
def test_neurons_must_both_act_together_and_avoid_others(together, apart, least, most):
    found = [verdict_of(np.random.default_rng([seed, 31]), together, apart) for seed in range(DRAWS)]
    assert least <= np.mean([verdict == "supported" for verdict in found]) <= most


def p1a(together=None, apart=None, worst=0.2, **premise):
    """The row for planted numbers of either test; what is not given is clear."""
    clear = {"value": 0.3, "n": 100, "q": 0.01, "null": (0.2, 0.18, 0.22), "gap": (0.05, 0.15), "p": 0.005}
    estimates = []
    for given, (measure, part) in (
        (together or {}, ("positive_correlation", "")),
        (apart or {}, ("negative_correlation", "other_neurons")),
    ):
        for kind in ("matched", "shuffled"):
            one = clear | given.get("both", {}) | given.get(kind, {})
            names = {"part": part, "against": kind}
            estimates += compared(
                measure, one["value"], one["n"], (0, 1), one["q"], one["null"], one["gap"], one["p"], **names
            )
    table = measure_frame(CheckpointName("a", "step16"), [("rare", "top_33", each) for each in estimates])
    joint = selectivity_table("a", matched=premise.get("matched", (0.1, 0.01)))
    more = {"coordination": table, "joint": joint, "group_match": match_table(["a"], worst=worst)}
    return row_of("P1a", tables_for(["a"]) | more)


def test_p_is_the_largest_of_all_and_the_value_that_of_the_weaker_test():
    row = p1a(apart={"shuffled": {"p": 0.03}})
    assert row["verdict"] == "supported"
    assert row["p_value"] == 0.03
    assert row["value"] == pytest.approx(0.5)
    assert row["bound"] == 0.1
    assert (
        "these neurons co-activate and avoid others: the negative correlation with the other neurons" in row["sentence"]
    )
    assert p1a(apart={"shuffled": {"p": 0.06}})["verdict"] == "undecided"
    assert "are alike (p = 0.06 compared with them)" in p1a(apart={"shuffled": {"p": 0.06}})["need"]
    assert "but so do neurons chosen with shuffled labels" in p1a(apart={"shuffled": {"p": 0.06}})["sentence"]


def test_a_small_excess_of_one_of_the_two_contradicts_if_it_would_have_been_found():
    small = {"value": 0.2, "null": (0.2, 0.19, 0.21), "gap": (-0.01, 0.01), "p": 0.5}
    row = p1a(apart={"both": small})
    assert row["verdict"] == "contradicted"
    assert row["power"] == pytest.approx(0.617, abs=1e-3), "of both tests; that of the other one is lower"
    wide = small | {"null": (0.2, 0.1, 0.3)}
    assert p1a(apart={"both": wide})["verdict"] == "undecided"
    assert p1a(apart={"both": small | {"gap": (-0.05, 0.05)}})["verdict"] == "undecided"


def test_controls_that_do_not_match_and_an_open_premise_decide_nothing():
    assert p1a(worst=0.4)["verdict"] == "undecided"
    assert "no suitable control groups" in p1a(worst=0.4)["sentence"]
    row = p1a(matched=(0.0, 0.02))
    assert row["verdict"] == "undecided"
    assert "C8 does not decide whether these matter more" in row["sentence"]


def test_a_group_without_numbers_says_so():
    row = row_of("P1a", tables_for(["a"]))
    assert row["verdict"] == "undecided"
    assert "no row of this group in tables/coordination.csv" in row["sentence"]
    unknown = p1a(together={"both": {"p": np.nan}})
    assert "no control groups" in unknown["sentence"]
    assert pd.isna(unknown["value"])


def test_an_excess_over_nothing_is_no_share_of_it():
    row = p1a(apart={"matched": {"value": 0.0, "null": (0.0, 0.0, 0.0), "gap": (0.0, 0.0), "p": 1.0}})
    assert row["verdict"] == "undecided"
    assert "the mean of the matched groups is 0" in row["sentence"]
