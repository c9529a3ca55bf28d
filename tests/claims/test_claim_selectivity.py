"""C8: neurons that matter more for rare targets are found, whether loud or quiet; a difference in loss is none."""

import numpy as np
import pandas as pd
import pytest
from claim_tables import BOUNDS, VIEW, groups_table, selectivity_table
from planted_choices import LOUD, QUIET, planted_choice
from scipy.stats import norm

from rareneurons.claims.selectivity import decide_selectivity, selected_group
from rareneurons.claims.sentences import claim_texts
from rareneurons.claims.view import tables_of
from rareneurons.conventions import SELECTIVE, TOP
from rareneurons.dynamics.untrained import UNTRAINED
from rareneurons.stats import NORMAL_95

DRAWS = 100


def planted_decisions(**planted):
    for seed in range(DRAWS):
        table, groups = planted_choice(np.random.default_rng([seed, 23]), **planted)
        yield decide_selectivity({"joint": table, "groups": groups}, VIEW, BOUNDS), table


@pytest.mark.calibration
def test_loud_neurons_that_serve_all_targets_alike_are_not_found_although_rare_rows_are_harder():
    """A factor in common, and labels that depend on the loss alone: supported in at most 5 % of the draws."""
    found = [decision.verdict for decision, _ in planted_decisions()]
    assert np.mean([verdict == "supported" for verdict in found]) <= 0.05


@pytest.mark.calibration
@pytest.mark.parametrize(("specialists", "strength", "shown"), [(LOUD, 0.5, None), (QUIET, 1.0, SELECTIVE)])
def test_neurons_that_serve_rare_targets_are_found_loud_or_quiet(specialists, strength, shown):
    """Supported in at least 80 % of the draws; exchanged labels choose many of the loud ones as well."""
    found = [decision for decision, _ in planted_decisions(specialists=specialists, strength=strength)]
    assert np.mean([each.verdict == "supported" for each in found]) >= 0.8
    if shown:
        assert np.mean([each.neurons.name == shown for each in found]) >= 0.8


def decided(top=None, selective=None):
    """C8 on planted excesses: kind of comparison -> (value, error) of each group."""
    parts = [selectivity_table("a", group, **given) for group, given in ((TOP, top), (SELECTIVE, selective)) if given]
    joint = pd.concat(parts)
    untrained = joint["against"] == UNTRAINED
    tables = {"joint": joint[~untrained], "dynamics": joint[untrained], "groups": groups_table("a")}
    return decide_selectivity(tables_of("a", tables), VIEW, BOUNDS)


def test_a_group_must_exceed_everything_that_it_is_compared_with():
    clear = (0.1, 0.02)
    for weak in ("matched", "shuffled", UNTRAINED):
        given = dict.fromkeys(("matched", "shuffled", UNTRAINED), clear) | {weak: (0.02, 0.02)}
        found = decided(selective=given)
        assert found.verdict == "undecided"
        assert found.statistic.against == weak
        assert found.number.value == pytest.approx(0.02)
        assert found.p_value == pytest.approx(2 * 0.1587, rel=1e-3)
        assert decided(selective=given | {weak: clear}).verdict == "supported"
    assert decided(selective={"matched": (-0.1, 0.02)}).verdict == "undecided"


def test_the_most_influential_neurons_need_not_exceed_those_of_exchanged_labels_which_may_be_the_same():
    found = decided(top={"matched": (0.1, 0.02), "shuffled": (0.0, 0.02)}, selective={"matched": (0.0, 0.02)})
    assert found.verdict == "supported"
    assert found.neurons.name == TOP
    assert selected_group(found) is None, "claims are then about the paper's neurons"
    assert found.evidence.shown.beyond_shuffled.value == pytest.approx(0)


def test_a_group_must_matter_more_for_rare_targets_by_itself_and_not_only_beside_its_controls():
    beyond = {"matched": (0.1, 0.02), UNTRAINED: (0.1, 0.02)}
    assert decided(top=beyond | {"difference": (0.04, 0.02, 0.07)}).verdict == "supported"
    for difference in ((-0.3, -0.4, -0.2), (0.01, -0.02, 0.04)):
        found = decided(top=beyond | {"difference": difference})
        assert found.verdict == "undecided"
        error = (difference[0] - difference[1]) / 1.96
        assert found.p_value == pytest.approx(min(1, 2 * norm.sf(difference[0] / error)), rel=1e-3)
        (option,) = found.options
        assert option.requirements, "documents, or that nothing is promising"


def test_selective_neurons_without_groups_of_exchanged_labels_are_not_decided_on():
    """A layer may hold fewer neurons with a positive excess under exchanged labels than the group has."""
    joint = selectivity_table("a", SELECTIVE, matched=(0.1, 0.02))
    difference = joint[joint["quantity"] == "difference"]
    reason = "no shuffled controls: too few other neurons"
    tables = {"joint": pd.concat([joint, difference.assign(against="shuffled", reason=reason)])}
    found = decide_selectivity(tables_of("a", tables | {"groups": groups_table("a")}), VIEW, BOUNDS)
    assert found.verdict == "undecided"


def test_selective_neurons_are_taken_where_both_groups_are_found():
    found = decided(top={"matched": (0.3, 0.02)}, selective={"matched": (0.1, 0.02), "shuffled": (0.1, 0.02)})
    assert selected_group(found) == SELECTIVE


def test_contradicted_only_if_both_groups_are_precise_and_small():
    own = {"difference": (0.0, -0.004, 0.004)}
    small, vague = {"matched": (0.0, 0.004)} | own, {"matched": (0.0, 0.012)} | own
    found = decided(top=small, selective=small)
    assert found.verdict == "contradicted"
    assert found.power > 0.99
    assert found.bound == BOUNDS.selectivity_margin
    assert decided(top=small, selective=vague).verdict == "undecided"
    assert decided(top=small).verdict == "undecided", "the selective group was not measured"
    precise_but_large = {"matched": (0.018, 0.004), UNTRAINED: (0.0, 0.1)} | own
    assert decided(top=small, selective=precise_but_large).verdict == "undecided"
    vague_by_itself = {"matched": (0.0, 0.004), "difference": (0.0, -0.03, 0.03)}
    assert decided(top=small, selective=vague_by_itself).verdict == "undecided"


@pytest.mark.calibration
def test_power_is_how_often_an_excess_and_a_difference_of_the_margin_are_found():
    """4,000 normal excesses and differences of the margin, to 0.02."""
    error, own, margin = 0.007, 0.008, BOUNDS.selectivity_margin
    ends = -own * NORMAL_95, own * NORMAL_95
    power = decided(selective={"matched": (0.0, error), "difference": (0.0, *ends)}).power
    errors = np.array([error, own])
    drawn = margin + errors * np.random.default_rng(3).normal(size=(4000, 2))
    found = (norm.sf(drawn / errors) <= BOUNDS.alpha / 2).all(1)
    assert found.mean() == pytest.approx(power, abs=0.02)


def test_nothing_measured_is_said():
    found = decide_selectivity({"joint": selectivity_table("a").iloc[:0], "groups": groups_table("a")}, VIEW, BOUNDS)
    assert found.verdict == "undecided"
    text = claim_texts("C8", "a", "step16", found, VIEW, BOUNDS)
    assert "not measured" in text["sentence"]


def test_the_sentence_says_what_exceeds_what_by_how_much():
    found = decided(top={"matched": (0.1, 0.02)}, selective={"matched": (0.1, 0.02), "shuffled": (0.07, 0.02)})
    text = claim_texts("C8", "a", "step16", found, VIEW, BOUNDS)
    assert "the 33 most rare-selective neurons costs rare targets" in text["sentence"]
    assert "+0.07 beyond neurons chosen with shuffled labels" in text["sentence"]
    assert "the 33 most influential neurons: " in text["evidence"]
