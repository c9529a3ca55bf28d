"""Regime groups and their random and matched controls."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from rareneurons import groups
from rareneurons.influence.label_shuffles import label_shuffles
from rareneurons.influence.sums import InfluenceSums
from rareneurons.stats import document_weights


def influence_frame(mean: np.ndarray, mean_abs: np.ndarray) -> pd.DataFrame:
    parts = [
        pd.DataFrame(
            {
                "layer": 5,
                "neuron": np.arange(len(mean)),
                "condition": condition,
                "split": split,
                "mean_delta_loss": mean * factor,
                "mean_abs_delta_loss": mean_abs,
            }
        )
        for condition, split, factor in [
            ("rare", "discovery", 1),
            ("rare", "heldout", -1),
            ("common", "discovery", -1),
        ]
    ]
    return pd.concat(parts).sample(frac=1, random_state=0)


def features_of(n: int, rng: np.random.Generator) -> groups.NeuronFeatures:
    return groups.NeuronFeatures(rng.normal(size=n), rng.lognormal(size=n), rng.lognormal(size=n))


def test_fixed_groups_come_from_the_discovery_rows_of_the_condition(rng):
    mean_abs = rng.permutation(np.linspace(1, 2, 400))
    mean = np.where(np.arange(400) % 4 == 0, -1, 1) * mean_abs
    frame = influence_frame(mean, mean_abs)
    regimes, controls = groups.groups_of_influence(frame, "rare", (3.5, 5.5), features_of(400, rng), 7, rng)
    members = groups.members_by_group(regimes)
    assert len(members["top_33"]) == 33
    assert len(members["fixed_power_law"]) == 244 - 33
    assert len(members["fixed_suppress_plateau"]) == 33
    boost = np.flatnonzero(mean > 0)
    expected = boost[np.argsort(-mean_abs[boost])]
    assert members["top_33"].tolist() == expected[:33].tolist()
    assert members["fixed_decay"].tolist() == expected[244:].tolist()
    for table in (regimes, controls):
        assert table["neuron"].dtype.kind == "i"
        assert set(table["layer"]) == {5}
    assert not set(regimes["group"]) & set(controls["group"])


def test_automatic_groups_follow_a_planted_curve(rng):
    x = np.log(np.arange(1, 1501))
    mean_abs = np.exp(-5 - 0.5 * np.clip(x - np.log(40), 0, None) - 1.5 * np.clip(x - 5.8, 0, None))
    order = rng.permutation(1500)
    found = groups.regime_groups(np.ones(1500)[order], mean_abs[order], (3.5, 5.5))
    assert len(found["plateau"]) == pytest.approx(40, abs=8)
    assert np.log(len(found["plateau"]) + len(found["power_law"])) == pytest.approx(5.8, abs=0.25)
    parts = [found[name] for name in groups.REGIMES]
    assert sorted(np.concatenate(parts)) == list(range(1500))
    assert set(order[found["plateau"]]) == set(range(len(found["plateau"])))


def test_layers_without_a_fitted_plateau_have_fixed_groups_alone():
    found = groups.regime_groups(np.ones(5), np.arange(1.0, 6.0), (3.5, 5.5))
    assert list(found) == ["top_33"]
    assert found["top_33"].tolist() == [4, 3, 2, 1, 0]


def test_controls_hold_no_measured_neuron_and_have_the_group_s_size(rng):
    mean_abs = np.exp(-0.02 * np.arange(600))
    mean = np.where(np.arange(600) < 480, mean_abs, -mean_abs)
    frame = influence_frame(mean, mean_abs)
    regimes, controls = groups.groups_of_influence(frame, "rare", (3.0, 5.0), features_of(600, rng), 25, rng)
    measured = groups.controlled_groups(regimes, controls)
    assert "top_33" in measured
    chosen = np.concatenate([group.members for group in measured.values()])
    for group in measured.values():
        for kind in ("random", "matched"):
            assert len(group.controls[kind]) == 25
            for control in group.controls[kind]:
                assert len(set(control)) == len(group.members)
                assert not set(control) & set(chosen)


@pytest.mark.faults
def test_a_layer_without_influence_has_no_groups(rng):
    frame = influence_frame(np.zeros(300), np.zeros(300))
    regimes, controls = groups.groups_of_influence(frame, "rare", (3.0, 5.0), features_of(300, rng), 25, rng)
    assert len(regimes) == len(controls) == 0
    assert groups.controlled_groups(regimes, controls) == {}
    assert groups.match_quality("rare", regimes, controls, features_of(300, rng)) == []


@pytest.mark.calibration
def test_matched_controls_resemble_a_loud_group_and_random_ones_do_not(rng):
    n = 2000
    loudness = rng.normal(size=n)
    features = groups.NeuronFeatures(rng.normal(size=n), np.exp(loudness), np.exp(0.5 * loudness + rng.normal(size=n)))
    loud = np.argsort(-(loudness + 0.7 * rng.normal(size=n)))[:40]
    frame = groups.group_frame({"plateau": loud}, 0, "rare")
    controls = groups.group_frame(groups.controls_of({"plateau": loud}, features, 200, rng), 0, "rare")
    quality = {(e.part, e.against): e for _, _, e in groups.match_quality("rare", frame, controls, features)}
    assert {e.measure for e in quality.values()} == {"standardised_difference"}
    assert quality["ln_activation_variance", "random"].value > 1
    for feature in ("ln_activation_variance", "ln_output_norm"):
        gap = {kind: abs(quality[feature, kind].value) for kind in ("random", "matched")}
        assert gap["matched"] < 0.2 * gap["random"]
    assert quality["activation_mean", "matched"].n == 200
    drawn = groups.controlled_groups(frame, controls)["plateau"].controls["matched"]
    assert len({tuple(sorted(control)) for control in drawn}) > 190  # they differ from one another


def test_controls_are_in_the_order_of_their_members_loudness(rng):
    scale, members, drawn = rng.permutation(30).astype(float), np.array([4, 9, 2, 7]), np.array([[20, 11, 15, 28]])
    (ordered,) = groups.in_place_of(members, drawn, np.column_stack([np.zeros(30), scale]))
    assert sorted(ordered) == [11, 15, 20, 28]
    np.testing.assert_array_equal(np.argsort(scale[ordered]), np.argsort(scale[members]))


def test_selective_neurons_are_matched_with_top_neurons_that_are_not_selective(rng):
    loud = np.arange(20)
    features = groups.NeuronFeatures(np.zeros(60), np.where(np.arange(60) < 20, 9.0, 1.0), np.ones(60))
    named = {"top_33": loud, "selective_33": np.arange(5)}
    controls = groups.controls_of(named, features, 20, rng)
    matched = np.stack([drawn for name, drawn in controls.items() if name.startswith("matched_selective_33")])
    assert set(matched.ravel()) == set(range(5, 20))
    permuted = np.stack([drawn for name, drawn in controls.items() if name.startswith("permuted_selective_33")])
    assert set(permuted.ravel()) == set(range(20))
    top = np.stack([drawn for name, drawn in controls.items() if name.startswith("matched_top_33")])
    assert not set(top.ravel()) & set(range(20))


def test_tiny_groups_have_no_controls_and_no_match():
    frame = groups.group_frame({"plateau": np.arange(2)}, 0, "rare")
    controls = groups.group_frame({"random_0000": np.arange(5, 7)}, 0, "rare")
    assert len(groups.controlled_groups(frame, controls)["plateau"].controls["random"]) == 0
    features = groups.NeuronFeatures(np.arange(8.0), np.arange(1.0, 9), np.ones(8))
    assert groups.match_quality("rare", frame, controls, features) == []


def test_controlled_groups_hold_each_kind_and_tiny_groups_too(rng):
    regimes = groups.group_frame({"plateau": np.arange(4), "suppress_plateau": np.arange(4, 6)}, 0, "rare")
    drawn = {
        "random_0000": np.arange(10, 15),
        "random_0001": np.arange(15, 20),
        "matched_plateau_0000": np.arange(20, 24),
        "shuffled_plateau_0000": np.arange(2, 6),
        "shuffled_plateau_0001": np.arange(3),
    }
    found = groups.controlled_groups(regimes, groups.group_frame(drawn, 0, "rare"))
    plateau, suppress = found["plateau"], found["suppress_plateau"]
    assert plateau.members.tolist() == [0, 1, 2, 3]
    assert plateau.controls["random"].tolist() == [[10, 11, 12, 13], [15, 16, 17, 18]]
    assert plateau.controls["matched"].tolist() == [[20, 21, 22, 23]]
    assert plateau.controls["shuffled"].tolist() == [[2, 3, 4, 5]]  # not the one that is too small
    assert suppress.members.tolist() == [4, 5]
    assert {kind: control.shape for kind, control in suppress.controls.items()} == {
        "random": (0, 2),
        "matched": (0, 2),
        "shuffled": (0, 2),
    }
    assert "top_33" not in found


def test_features_are_those_of_the_neurons(rng):
    activation, weight = rng.normal(size=(50, 4)).astype(np.float32), rng.normal(size=(4, 3)).astype(np.float32)
    found = groups.neuron_features(activation, weight)
    np.testing.assert_allclose(found.activation_variance, activation.astype(float).var(0))
    np.testing.assert_allclose(found.output_norm, np.sqrt((weight.astype(float) ** 2).sum(1)))
    constant = groups.NeuronFeatures(np.ones(4), np.zeros(4), np.ones(4)).standardised()
    assert (constant == 0).all()


def test_final_groups_are_the_top_groups_under_another_name():
    assert groups.tracked_backwards({"plateau": 1, "top_33": 2, "suppress_plateau": 3, "selective_33": 4}) == {
        "final_plateau": 1,
        "final_top_33": 2,
        "final_selective_33": 4,
    }


@pytest.mark.oracle
def test_redrawn_groups_are_the_top_of_each_draw_s_curve(rng):
    """One draw at a time, by sorting the resampled means of one sign."""
    sizes = np.full(12, 5)
    effect = np.concatenate([np.linspace(1, 2, 30), -np.linspace(1, 2, 30)]) * rng.normal(1, 2, size=(12, 60))
    sums = InfluenceSums(np.arange(12), sizes, effect, np.abs(effect))
    weights = document_weights(12, 25, rng)
    contrast = rng.normal(size=(12, 60))
    other = InfluenceSums(np.arange(12), sizes, contrast, np.abs(contrast))
    members = {name: np.arange(n) for name, n in (("plateau", 4), ("top_33", 7), ("suppress_plateau", 5))}
    members["selective_33"] = np.arange(6)
    found = groups.redrawn_groups(members, (sums, other), weights)
    assert list(found) == list(members)
    for draw, weight in enumerate(weights):
        mean, mean_abs = weight @ effect, weight @ np.abs(effect)
        for name, sign in (("plateau", 1), ("top_33", 1), ("suppress_plateau", -1)):
            order = sorted(np.flatnonzero(sign * mean > 0), key=lambda neuron: -mean_abs[neuron])
            assert found[name][draw].tolist() == order[: len(members[name])]
        excess = groups.excess_of_draws(sums, other, weight[None])[0]
        selective = sorted(np.flatnonzero(excess > 0), key=lambda neuron: -excess[neuron])
        assert found["selective_33"][draw].tolist() == selective[:6]
    assert len({tuple(group) for group in found["plateau"]}) > 1
    few = groups.redrawn_groups({"plateau": np.arange(60)}, (sums, other), weights)
    assert max(map(len, few["plateau"])) < 60


def test_groups_carry_what_other_documents_would_have_chosen(rng):
    effect = rng.normal(size=(12, 60))
    sums, weights = InfluenceSums(np.arange(12), np.full(12, 5), effect, np.abs(effect)), document_weights(12, 9, rng)
    given = {name: groups.ControlledGroup(np.arange(n), {}) for name, n in (("plateau", 4), ("suppress_plateau", 6))}
    found = groups.with_redrawn(given, (sums, sums), weights)
    expected = groups.redrawn_groups({name: group.members for name, group in given.items()}, (sums, sums), weights)
    for name, group in found.items():
        assert group.members is given[name].members
        assert given[name].redrawn == ()
        np.testing.assert_array_equal(group.redrawn, expected[name])


def shuffles_of(rng, loud, selective, n_neurons=300):
    """Influence under exchanged labels of neurons of which some are loud, and some matter on rare rows alone."""
    document = np.repeat(np.arange(60), 8)
    rare = rng.random(len(document)) < 0.5
    effects = 0.05 * rng.normal(size=(len(document), n_neurons))
    effects[:, loud] += 1
    effects[:, selective] += 0.1 * rare[:, None]
    labels = np.column_stack([rare, ~rare])
    frame = influence_frame(effects[rare].mean(0), np.abs(effects[rare]).mean(0))
    return frame, label_shuffles(effects, document, labels, 40, rng)


@pytest.mark.calibration
def test_exchanged_labels_choose_the_loud_neurons_again_and_not_the_selective_ones(rng):
    loud, selective = np.arange(33), np.arange(100, 133)
    frame, shuffles = shuffles_of(rng, loud, selective)
    regimes, controls = groups.groups_of_influence(frame, "rare", (3.5, 5.5), features_of(300, rng), 10, rng, shuffles)
    members = groups.members_by_group(regimes)
    assert set(members["top_33"]) == set(loud)
    assert len(set(members["selective_33"]) & set(selective)) >= 31
    found = groups.controlled_groups(regimes, controls)
    assert found["top_33"].controls["shuffled"].shape == (40, 33)
    again = {name: e for _, name, e in groups.chosen_by_shuffled_labels("rare", found)}
    assert again["top_33"].value > 0.99
    # These share their effect, so that labels that happen to agree with the true ones choose them all.
    assert again["selective_33"].value < 0.7
    assert again["selective_33"].ci_low <= again["selective_33"].value <= again["selective_33"].ci_high
    assert again["top_33"].n == 40


def test_neurons_without_an_excess_are_not_selective(rng):
    assert groups.selective_neurons(np.array([0.5, -1.0, 0.0, 2.0])).tolist() == [3, 0]
    frame, shuffles = shuffles_of(rng, [], [], 40)
    nothing = replace(shuffles, own_excess=np.zeros(40))
    chosen, _ = groups.groups_of_influence(frame, "rare", (3.0, 5.0), features_of(40, rng), 10, rng, nothing)
    assert "selective_33" not in set(chosen["group"])


def test_groups_without_known_types_take_the_next_neurons_and_their_controls_hold_none(rng):
    frame, shuffles = shuffles_of(rng, np.arange(10), np.arange(20, 30), 300)
    features, of_types = features_of(300, rng), np.array([0, 2, 25, 200])
    given = frame, "rare", (3.0, 5.0), features, 10
    plain = groups.groups_of_influence(*given, np.random.default_rng(3), shuffles)
    found = groups.groups_of_influence(*given, np.random.default_rng(3), shuffles, of_types)
    for before, after in zip(plain, found, strict=True):
        pd.testing.assert_frame_equal(after.iloc[: len(before)], before)
    members = groups.members_by_group(found[0])
    first = frame.query("condition == 'rare' and split == 'discovery' and mean_delta_loss > 0")
    by_influence = first.sort_values("mean_abs_delta_loss", ascending=False)["neuron"]
    assert members["top_33_without_types"].tolist() == [n for n in by_influence if n not in of_types][:33]
    assert set(members["top_33"]) & set(of_types)
    order = np.argsort(-shuffles.own_excess, kind="stable")
    expected = [n for n in order if n not in of_types and shuffles.own_excess[n] > 0][:33]
    assert members["selective_33_without_types"].tolist() == expected
    assert set(members["selective_33"]) & set(of_types)
    measured = groups.controlled_groups(*found, ("top_33", "top_33_without_types", "selective_33_without_types"))
    assert set(measured["top_33"].controls) == {"random", "matched", "shuffled"}
    for name in ("top_33_without_types", "selective_33_without_types"):
        group = measured[name]
        assert {kind: len(drawn) for kind, drawn in group.controls.items()} == {"matched": 10, "shuffled": 40}
        assert not np.isin(np.concatenate([*group.controls.values(), group.permuted]), of_types).any()
        assert not np.isin(group.controls["matched"], group.members).any()
        assert np.isin(group.permuted, group.members).any()
    quality = groups.match_quality("rare", *found, features)
    assert "top_33_without_types" in {name for _, name, each in quality if each.against == "matched"}


def test_without_neurons_of_known_types_the_groups_and_controls_are_the_same(rng):
    frame, shuffles = shuffles_of(rng, np.arange(10), np.arange(20, 30), 120)
    none = np.empty(0, dtype=np.int64)
    found = groups.groups_of_influence(frame, "rare", (3.0, 5.0), features_of(120, rng), 5, rng, shuffles, none)
    measured = groups.controlled_groups(*found, ("top_33", "top_33_without_types"))
    base, same = measured["top_33"], measured["top_33_without_types"]
    np.testing.assert_array_equal(base.members, same.members)
    np.testing.assert_array_equal(base.permuted, same.permuted)
    for kind in ("matched", "shuffled"):
        np.testing.assert_array_equal(base.controls[kind], same.controls[kind])


def test_members_of_several_groups_are_named_once():
    table = pd.DataFrame({"group": ["top_33", "decay", "top_33", "plateau"], "neuron": [7, 3, 2, 7]})
    assert groups.members_of(table, ["plateau", "top_33", "selective_33"]).tolist() == [2, 7]
    assert groups.members_of(table, ["selective_33"]).tolist() == []
