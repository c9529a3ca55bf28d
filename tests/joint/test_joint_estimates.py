"""Joint effects of planted groups: found where they are, absent where they are not, with their parts and controls."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from planted_layers import (
    controlled,
    evidence_of,
    layer_of,
    measured,
    random_groups,
    sampled,
    writers_of_rare_targets,
)

from rareneurons.joint.ablation import AblatedRows, joint_effects
from rareneurons.joint.estimates import JointSettings, curve_of_doses, evenly
from rareneurons.models.last_layer import LastLayer
from rareneurons.tables import MEASURE_COLUMNS, rows_of

BOTH = "rare-common"


def row(table, measure, part="", quantity="value", against="", condition="rare", group="top_33"):
    found = rows_of(table, measure, part, quantity, against)
    found = found[(found["condition"] == condition) & (found["group"] == group)]
    assert len(found) == 1, found
    return found.iloc[0]


@pytest.mark.calibration
def test_neurons_that_write_rare_targets_matter_more_for_them(rng):
    evidence = writers_of_rare_targets(rng)
    controls = {kind: random_groups(np.arange(20, 60), 10, 30, rng) for kind in ("random", "matched")}
    table = measured(evidence, {"top_33": controlled(np.arange(10), **controls)}).table
    difference = row(table, "delta_loss", quantity="difference", against="matched", condition=BOTH)
    assert difference["ci_low"] > 0.1
    assert difference["p_value"] == pytest.approx(1 / 31)
    assert difference["null_n"] == 30
    assert difference["value"] > difference["null_high"]
    for part in ("", "matched_rows"):
        excess = row(table, "delta_loss", part, "excess", "matched", BOTH)
        assert excess["ci_low"] > 0.1
        assert excess["p_value"] < 0.05
    assert row(table, "ln_rank_change", quantity="difference", condition=BOTH)["ci_low"] > 0


@pytest.mark.calibration
def test_a_calibrated_fact_is_seen_by_joint_ablation_alone(rng):
    """Neurons that together carry the true log odds of a rare target: a single one's mean effect vanishes."""
    n_rows, n, vocabulary = 4000, 33, 40
    fact = 1.5 * rng.normal(size=n_rows)
    unembedding = np.column_stack([np.repeat([-0.5, 0.5], vocabulary // 2), rng.normal(size=(vocabulary, 3))])
    weight = np.zeros((n + 7, 5))
    weight[:n, 1] = 1 / n
    activation = np.column_stack([np.tile(fact[:, None], n), rng.normal(size=(n_rows, 7))])
    layer = layer_of(weight, unembedding)
    target = sampled(fact[:, None] * unembedding[:, 0], rng)
    rare = target >= vocabulary // 2
    zero = np.zeros(n + 7)
    stream = np.zeros((n_rows, 4))
    evidence = evidence_of(layer, stream, activation, target, rare, np.arange(n_rows) // 20, zero, rng=rng)
    table = measured(evidence, {"top_33": controlled(np.arange(n))}).table
    for condition in ("rare", "common"):
        joint = row(table, "delta_loss", condition=condition)
        beyond = row(table, "interaction", condition=condition)
        assert joint["ci_low"] > 0.1
        singles = joint["value"] - beyond["value"]
        assert abs(singles) < 0.2 * joint["value"]
        assert beyond["ci_low"] > 0.1


def rows_of_a_temperature(rng, n_rows=400, vocabulary=60):
    """Evidence whose neurons act on the norm's scale alone, and whose logits are the same but for their order.

    So the change of a row's loss depends on its clean loss alone (and on noise). Labels are rare more often for targets
    with a large loss.
    """
    logits = np.array([rng.permutation(np.linspace(-4, 2, vocabulary)) for _ in range(n_rows)])
    rare = np.arange(n_rows) % 2 == 0
    target = np.where(rare, sampled(0.6 * logits, rng), sampled(1.3 * logits, rng))
    weight = np.zeros((6, 1 + vocabulary))
    weight[:, 0] = 1.0
    activation = rng.gamma(4, 0.25, size=(n_rows, 6))
    layer = layer_of(weight, np.eye(vocabulary))
    return evidence_of(layer, logits, activation, target, rare, np.arange(n_rows) // 8, np.zeros(6), rng=rng)


@pytest.mark.calibration
def test_an_effect_of_the_loss_alone_vanishes_at_matched_loss():
    """A hundred draws: significant in at most 5 % at matched loss, and nearly always without matching."""
    found = {"": [], "matched_rows": []}
    for seed in range(100):
        evidence = rows_of_a_temperature(np.random.default_rng(seed))
        table = measured(evidence, {"top_33": controlled(np.arange(6))}, seed).table
        for part, excluded in found.items():
            difference = row(table, "delta_loss", part, "difference", condition=BOTH)
            excluded.append(difference["ci_low"] > 0 or difference["ci_high"] < 0)
        gap = row(table, "standardised_difference", "matched_rows", "difference", condition=BOTH, group="all")
        assert abs(gap["value"]) < 0.05
        assert gap["n"] > 100
    assert np.mean(found[""]) > 0.95
    assert np.mean(found["matched_rows"]) <= 0.05


@pytest.fixture
def planted(rng):
    """Groups with doses and controls, a tracked group and one that is too small, and their measure."""
    evidence = writers_of_rare_targets(rng, n_rows=300)
    order = np.concatenate([np.arange(10), np.arange(50, 60), np.arange(10, 50)])
    evidence = replace(evidence, orders={"top_33": order})
    controls = {"matched": random_groups(np.arange(20, 60), 10, 14, rng), "random": np.empty((0, 10), dtype=int)}
    groups = {
        "top_33": controlled(np.arange(10), **controls),
        "final_top_33": controlled(np.arange(5, 15), **controls),
        "tiny": controlled([1, 2], **controls),
    }
    return evidence, groups, measured(evidence, groups, controls=12, doses=(1, 3, 10, 30, 300))


@pytest.mark.oracle
def test_numbers_equal_plain_means(planted):
    evidence, groups, found = planted
    rows, table = evidence.rows, found.table
    everything = AblatedRows(evidence.residual, evidence.activation, evidence.reference, rows["target"].to_numpy())
    layer = LastLayer.from_arrays(evidence.last_layer)
    order, controls = evidence.orders["top_33"], groups["top_33"].controls["matched"][:12]
    rare, common = rows["in_rare"].to_numpy(), rows["in_common"].to_numpy()
    own = joint_effects(layer, everything, [order[:10], order[:3], order[:30]])
    null = joint_effects(layer, everything, list(controls))
    value = row(table, "kl_divergence", against="matched", condition="common")
    assert value["value"] == pytest.approx(own.divergence[common, 0].mean(), rel=1e-6)
    assert value["null_mean"] == pytest.approx(null.divergence[common].mean(), rel=1e-6)
    assert value["n"] == 150
    difference = row(table, "delta_loss", quantity="difference", against="matched", condition=BOTH)
    gap = own.delta_loss[rare].mean(0) - own.delta_loss[common].mean(0)
    gaps = null.delta_loss[rare].mean(0) - null.delta_loss[common].mean(0)
    assert difference["value"] == pytest.approx(gap[0], rel=1e-6)
    assert row(table, "delta_loss", "", "excess", "matched", BOTH)["value"] == pytest.approx(gap[0] - gaps.mean())
    assert row(table, "delta_loss", "dose_30", "difference", condition=BOTH)["value"] == pytest.approx(gap[2], rel=1e-5)
    firsts = joint_effects(layer, everything, list(controls[:, :3])).delta_loss[rare].mean()
    dose = row(table, "delta_loss", "dose_3", against="matched")
    assert (dose["value"], dose["null_mean"]) == pytest.approx((own.delta_loss[rare, 1].mean(), firsts), rel=1e-5)
    singles = joint_effects(layer, everything, [np.array([n]) for n in range(10)]).delta_loss.sum(1)
    beyond = (own.delta_loss[:, 0] - singles)[rare].mean()
    assert row(table, "interaction")["value"] == pytest.approx(beyond, rel=1e-3)
    tenth = (evidence.rank_fraction >= 0.3) & (evidence.rank_fraction < 0.4)
    mine = row(table, "delta_loss", "tenth_4", condition="all")
    assert mine["value"] == pytest.approx(own.delta_loss[tenth, 0].mean(), rel=1e-6)
    assert mine["n"] == tenth.sum()


def test_table_and_draws_have_what_they_should(planted):
    _, _, found = planted
    table = found.table
    assert list(table.columns) == MEASURE_COLUMNS
    assert "tiny" not in set(table["group"])
    assert set(table[table["group"] == "final_top_33"]["against"]) == {""}
    parts = set(table[table["group"] == "top_33"]["part"])
    assert {"dose_1", "dose_3", "dose_10", "dose_30", "matched_rows", "tenth_1", "tenth_10"} <= parts
    assert "dose_300" not in parts
    doses = table[(table["part"] == "dose_30") & (table["group"] == "top_33")]
    assert set(doses["against"]) == {""}, "control groups are smaller than the dose"
    without = row(table, "delta_loss", against="random")
    assert "no random controls" in without["reason"]
    assert np.isfinite(without["value"])
    assert np.isfinite(without["ci_low"])
    keys = ["condition", "group", "measure", "part", "quantity", "against"]
    assert not table.duplicated(keys).any()
    value = row(table, "delta_loss", against="matched")
    draws = found.draws.set_index(keys).loc[("rare", "top_33", "delta_loss", "", "value", ""), "draws"]
    assert np.quantile(draws, 0.025) == pytest.approx(value["ci_low"])
    kinds = {(quantity, part) for quantity, part in found.draws[["quantity", "part"]].itertuples(index=False)}
    assert kinds == {
        ("value", ""),
        ("difference", ""),
        ("difference", "matched_rows"),
        ("excess", ""),
        ("excess", "matched_rows"),
    }


def test_loss_by_frequency(planted):
    evidence, _, found = planted
    table = found.products["loss_by_frequency"].set_index("band")
    rows = AblatedRows(evidence.residual, evidence.activation, evidence.reference, evidence.rows["target"].to_numpy())
    loss = joint_effects(LastLayer.from_arrays(evidence.last_layer), rows, []).clean_loss
    assert list(table.index) == [*(f"tenth_{k}" for k in range(1, 11)), "rare", "common"]
    assert table.loc["common", "loss"] == pytest.approx(loss[evidence.rows["in_common"]].mean())
    assert table.loc["rare", "n"] == 150
    assert table.loc["rare", "n_documents"] == 30
    tenth = table.loc["tenth_6"]
    assert (tenth["rank_fraction_low"], tenth["rank_fraction_high"]) == (0.5, 0.6)
    assert tenth["ci_low"] < tenth["loss"] < tenth["ci_high"]
    assert table.loc["rare", "rank_fraction_low"] == pytest.approx(0.5)


def test_rows_are_bounded_and_the_same_everywhere(planted):
    evidence, groups, _ = planted
    table = measured(evidence, groups, rows=60).table
    assert row(table, "delta_loss", against="matched")["n"] == 60
    assert evenly(np.arange(10, 20), 3).tolist() == [10, 14, 19]
    assert evenly(np.arange(4), 9).tolist() == [0, 1, 2, 3]


def test_a_tenth_without_rows_has_a_reason(planted):
    evidence, groups, _ = planted
    fraction = np.where(evidence.rank_fraction < 0.1, np.nan, evidence.rank_fraction)
    table = measured(replace(evidence, rank_fraction=fraction), groups).table
    empty = row(table, "delta_loss", "tenth_1", condition="all")
    assert np.isnan(empty["value"])
    assert empty["reason"] == "this part of the rows is empty"
    assert empty["n"] == 0


def test_a_layer_without_closed_form_and_a_checkpoint_without_groups(planted):
    evidence, groups, found = planted
    capped = replace(evidence, last_layer={**evidence.last_layer, "logit_cap": np.array([1e6])})
    table = measured(capped, groups, controls=12).table
    for measure in ("delta_loss", "interaction"):
        against = "matched" if measure == "delta_loss" else ""
        mine, other = (row(each, measure, against=against)["value"] for each in (table, found.table))
        assert mine == pytest.approx(other, rel=1e-3)
    alone = measured(evidence, {}).table
    assert set(alone["measure"]) == {"clean_loss", "standardised_difference"}


def test_doses_follow_the_curve_of_the_largest_top_group():
    mean = np.array([3.0, -9, 1, 2, 5])
    influence = pd.DataFrame(
        {"neuron": range(5), "condition": "rare", "split": "discovery", "mean_delta_loss": mean}
    ).assign(mean_abs_delta_loss=np.abs(mean))
    elsewhere = influence.assign(split="heldout", mean_delta_loss=1.0)
    groups = {name: controlled(of) for name, of in {"plateau": [4], "top_33": [4, 0], "power_law": [3]}.items()}
    groups["final_plateau"] = controlled([4, 0, 3])
    found = curve_of_doses(groups, pd.concat([influence[::-1], elsewhere]), "rare")
    assert {name: order.tolist() for name, order in found.items()} == {"top_33": [4, 0, 3, 2]}
    assert curve_of_doses({"power_law": controlled([3])}, influence, "rare") == {}
    assert JointSettings().doses[-1] == 300


@pytest.mark.oracle
def test_share_of_the_effect_that_neurons_of_no_known_type_have(rng):
    """Against joint ablation of the group's other neurons alone; and a layer without known types has all of it."""
    evidence = writers_of_rare_targets(rng, n_rows=200)
    drawn = {"matched": random_groups(np.arange(20, 60), 10, 4, rng)}
    groups = {
        "top_33": controlled(np.arange(10), **drawn),
        "top_33_without_types": controlled(np.arange(4, 14), **drawn),
        "selective_33": controlled(np.arange(10), **drawn),
        "selective_33_without_types": controlled(np.arange(10), **drawn),
    }
    table = measured(evidence, groups, controls=4, doses=()).table
    everything = AblatedRows(
        evidence.residual, evidence.activation, evidence.reference, evidence.rows["target"].to_numpy()
    )
    layer, rare = LastLayer.from_arrays(evidence.last_layer), evidence.rows["in_rare"].to_numpy()
    effects = joint_effects(layer, everything, [np.arange(10), np.arange(4, 10)]).delta_loss[rare]
    share = row(table, "delta_loss", "less_known_types", "ratio")
    assert share["value"] == pytest.approx(effects[:, 1].mean() / effects[:, 0].mean(), rel=1e-6)
    assert share["ci_low"] < share["value"] < share["ci_high"]
    assert share["p_value"] > 0.01
    whole = row(table, "delta_loss", "less_known_types", "ratio", group="selective_33")
    assert (whole["value"], whole["ci_low"], whole["ci_high"]) == (1, 1, 1)
    assert whole["p_value"] == pytest.approx(2 / 101)
    mine = table[table["group"] == "top_33_without_types"]
    assert set(mine["part"]) == {"", "matched_rows"}
    assert {"value", "difference", "excess"} <= set(mine["quantity"])
    assert "ratio" not in set(table.loc[table["part"] == "", "quantity"])
