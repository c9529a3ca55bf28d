"""A group's organization against its nulls: planted blocks, noise, places, weights, and what cannot be measured."""

import itertools

import numpy as np
import pandas as pd
import pytest

from rareneurons.organization import group as organization
from rareneurons.organization.communities import consensus_partitions, partition_agreement
from rareneurons.organization.group import Effort, LayerActivations, group_organization, group_places
from rareneurons.organization.paper_table import paper_table
from rareneurons.tables import MEASURE_COLUMNS, CheckpointName

QUICK = Effort(bootstrap=0, shifts=99, seeds=1, resolutions=[1.0], pairs=20)
DRAWS = 400
BLOCKS_RAISE = ("signed_modularity", "silhouette", "mutual_information", "mutual_information_linear")


def layer_of(heldout: np.ndarray, discovery: np.ndarray, a_document: int = 5) -> LayerActivations:
    return LayerActivations(heldout, np.arange(len(heldout)) // a_document, discovery)


def random_groups(rng, members: np.ndarray, n_neurons: int, number: int) -> list[np.ndarray]:
    others = np.setdiff1d(np.arange(n_neurons), members)
    return [rng.choice(others, len(members), replace=False) for _ in range(number)]


def by_measure(findings) -> dict:
    return {finding.estimate.measure: finding for finding in findings}


def planted(rng, n_rows: int, strength: float = 1.5) -> tuple[np.ndarray, np.ndarray]:
    """Activations (rows, 80) whose first 12 neurons are three blocks of four, and the blocks."""
    activation = rng.normal(size=(n_rows, 80))
    activation[:, :12] += strength * np.repeat(rng.normal(size=(n_rows, 3)), 4, axis=1)
    return activation, np.repeat(np.arange(3), 4)


@pytest.mark.calibration
def test_independent_neurons_have_small_p_values_as_often_as_they_say():
    """Every measure and null, 99 null groups each: p < 0.05 in at most 7 % of 400 draws."""
    rng = np.random.default_rng(11)
    small: dict[str, list[bool]] = {}
    for _ in range(DRAWS):
        layer = layer_of(rng.normal(size=(60, 30)), rng.normal(size=(60, 30)))
        members = rng.choice(30, 5, replace=False)
        controls = {"random": random_groups(rng, members, 30, 99)}
        found = group_organization(layer, members, controls, QUICK, rng)
        found += group_places(rng.normal(size=(30, 16)), members, controls, QUICK, rng)
        for finding in found:
            if np.isfinite(finding.estimate.p_value):
                small.setdefault(finding.estimate.measure, []).append(finding.estimate.p_value < 0.05)
    assert len(small) == 6 * 2 + 5
    rates = pd.Series({name: np.mean(flags) for name, flags in small.items()})
    assert (rates <= 0.07).all(), rates
    continuous = [name for name in rates.index if "modularity" in name or "information" in name]
    assert (rates[continuous] >= 0.01).all(), rates  # a test that never rejects is no test


@pytest.mark.calibration
def test_planted_blocks_are_found_and_stand_out_from_every_null():
    rng = np.random.default_rng(13)
    agreement, found_by = [], {}
    for _ in range(30):
        heldout, truth = planted(rng, 300)
        layer = layer_of(heldout, planted(rng, 300)[0])
        members = np.arange(12)
        controls = {"random": random_groups(rng, members, 80, 99)}
        labels = consensus_partitions(layer.correlation[None, :12, :12], 2, [0.75, 1, 1.25], rng)
        agreement.append(partition_agreement(labels, truth[None])[0])
        found = by_measure(group_organization(layer, members, controls, QUICK, rng))
        for measure, null in itertools.product(BLOCKS_RAISE, ("random", "shift")):
            found_by.setdefault((measure, null), []).append(found[f"{measure}.{null}"].estimate.p_value < 0.05)
        assert found["partition_agreement.shift"].estimate.value > 0.9
    assert np.mean(agreement) >= 0.9
    assert all(np.mean(flags) >= 0.95 for flags in found_by.values()), found_by


@pytest.mark.calibration
def test_modularity_of_noise_is_not_above_its_nulls():
    rng = np.random.default_rng(17)
    gaps = []
    for _ in range(40):
        layer = layer_of(rng.normal(size=(150, 60)), rng.normal(size=(150, 60)))
        controls = {"random": random_groups(rng, np.arange(12), 60, 50)}
        found = by_measure(group_organization(layer, np.arange(12), controls, QUICK, rng))
        for null in ("random", "shift"):
            name = f"signed_modularity.{null}"
            gaps.append(found[name].estimate.value - found[f"{name}.null_mean"].estimate.value)
    assert abs(np.mean(gaps)) < 3 * np.std(gaps) / np.sqrt(len(gaps))


def test_one_common_factor_is_no_clusters_but_information():
    """All neurons move together: high mutual information, modularity below its nulls (one community is no division)."""
    rng = np.random.default_rng(19)
    activation = rng.normal(size=(300, 60))
    activation[:, :10] += 2 * rng.normal(size=(300, 1))
    layer = layer_of(activation, activation[::-1])
    controls = {"random": random_groups(rng, np.arange(10), 60, 99)}
    found = by_measure(group_organization(layer, np.arange(10), controls, QUICK, rng))
    modularity, null = (found[f"signed_modularity.random{end}"].estimate for end in ("", ".null_mean"))
    assert modularity.value < null.value
    assert modularity.p_value < 0.05
    information = found["mutual_information.random"].estimate
    assert information.p_value < 0.05
    assert information.value > 0.3
    assert abs(found["mutual_information_shuffled"].estimate.value) < 0.03


@pytest.mark.oracle
def test_shifts_equal_rolled_columns(rng):
    activation = rng.normal(size=(30, 4))
    offsets = rng.integers(30, size=(3, 4))
    fast = organization.shifted_correlations(activation, offsets)
    for found, offset in zip(fast, offsets, strict=True):
        rolled = np.column_stack([np.roll(activation[:, n], offset[n]) for n in range(4)])
        np.testing.assert_allclose(found, np.corrcoef(rolled, rowvar=False), atol=1e-12)
        np.testing.assert_array_equal(organization.rotations(activation)(offset).T, rolled)


@pytest.mark.oracle
def test_index_distances_equal_loops(rng):
    groups = np.stack([rng.choice(100, 7, replace=False) for _ in range(5)])
    for group, distance, gap in zip(
        groups, organization.mean_index_distance(groups), organization.mean_index_gap(groups), strict=True
    ):
        assert distance == pytest.approx(np.mean([abs(a - b) for a, b in itertools.combinations(group.tolist(), 2)]))
        assert gap == np.mean([min(abs(a - b) for b in group if b != a) for a in group])


def test_neighbouring_indices_are_closer_than_chance_and_weights_in_blocks_are_found():
    rng = np.random.default_rng(23)
    weight = rng.normal(size=(200, 100))
    members = np.arange(50, 62)
    weight[members] += 3 * np.repeat(rng.normal(size=(3, 100)), 4, axis=0)
    controls = {"random": random_groups(rng, members, 200, 99), "matched": random_groups(rng, members, 200, 99)}
    found = by_measure(group_places(weight, members, controls, QUICK, rng))
    for kind, measure in itertools.product(controls, ("index_distance", "index_gap", "weight_modularity")):
        assert found[f"{measure}.{kind}"].estimate.p_value < 0.05
    assert found["index_gap.random"].estimate.value == 1
    assert found["weight_communities.random"].estimate.value == 3


def test_interval_holds_the_value_and_widens_with_fewer_documents():
    rng = np.random.default_rng(29)
    heldout, _ = planted(rng, 400)
    effort = Effort(bootstrap=60, shifts=10, seeds=1, resolutions=[1.0], pairs=20)
    widths = []
    for a_document in (2, 80):
        layer = layer_of(heldout, heldout, a_document)
        found = by_measure(group_organization(layer, np.arange(12), {}, effort, rng))
        for name in ("signed_modularity", "silhouette", "mutual_information", "mutual_information_linear"):
            estimate = found[f"{name}.shift"].estimate
            assert estimate.ci_low < estimate.value < estimate.ci_high
        estimate = found["signed_modularity.shift"].estimate
        widths.append(estimate.ci_high - estimate.ci_low)
        assert found["partition_agreement.shift"].estimate.ci_high <= 1
    assert widths[0] < 0.2
    assert widths[0] != widths[1]


@pytest.mark.calibration
def test_intervals_cover_the_mean_over_data_sets():
    """Blocks in 100 data sets of 40 documents: the interval holds the mean modularity of the data sets in most."""
    rng = np.random.default_rng(31)
    effort = Effort(bootstrap=60, shifts=10, seeds=1, resolutions=[1.0], pairs=5)
    estimates = []
    for _ in range(100):
        heldout = planted(rng, 200, strength=1.0)[0][:, :12]
        layer = layer_of(heldout, heldout)
        estimates.append(
            by_measure(group_organization(layer, np.arange(12), {}, effort, rng))["signed_modularity.shift"]
        )
    truth = np.mean([e.estimate.value for e in estimates])
    covered = np.mean([e.estimate.ci_low <= truth <= e.estimate.ci_high for e in estimates])
    assert 0.86 <= covered <= 1.0


def constant_neuron(heldout, discovery):
    heldout[:, 4] = 1.0


@pytest.mark.faults
@pytest.mark.parametrize(
    ("members", "n_rows", "spoil", "reason"),
    [
        ([1, 2], 50, None, "2 neurons, at least 3 are needed"),
        (range(12), 9, None, "9 held-out rows for 12 neurons; at least as many are needed"),
        ([3, 4, 5], 50, constant_neuron, "constant on held-out rows: neuron 4"),
    ],
)
def test_a_group_that_cannot_be_measured_has_a_reason_and_no_number(rng, members, n_rows, spoil, reason):
    heldout, discovery = rng.normal(size=(n_rows, 20)), rng.normal(size=(50, 20))
    if spoil:
        spoil(heldout, discovery)
    controls = {"random": [np.arange(len(members))] * 12, "matched": []}
    with np.errstate(all="ignore"):
        layer = layer_of(heldout, discovery)
    found = group_organization(layer, np.array(members), controls, QUICK, rng)
    assert {finding.estimate.measure for finding in found} == {
        f"{measure}.{null}" for measure in organization.ACTIVATION_UNITS for null in ("random", "matched", "shift")
    }
    assert all(finding.reason == reason for finding in found)
    assert all(np.isnan(finding.estimate.value) and np.isnan(finding.estimate.p_value) for finding in found)


def test_two_neurons_have_no_place_and_missing_controls_are_said(rng):
    found = group_places(rng.normal(size=(20, 4)), np.array([1, 2]), {"random": []}, QUICK, rng)
    assert all(np.isnan(finding.estimate.value) and "2 neurons" in finding.reason for finding in found)
    layer = layer_of(rng.normal(size=(50, 20)), rng.normal(size=(50, 20)))
    found = by_measure(group_organization(layer, np.arange(6), {"matched": []}, QUICK, rng))
    assert "no matched group of this size" in found["signed_modularity.matched"].reason
    assert np.isfinite(found["signed_modularity.matched"].estimate.value)
    assert np.isnan(found["signed_modularity.matched"].estimate.p_value)
    assert found["signed_modularity.shift"].reason == ""


def test_a_control_with_a_constant_neuron_takes_no_part(rng):
    activation = rng.normal(size=(60, 30))
    activation[:, 20] = 0
    layer = layer_of(activation, activation)
    controls = {"random": [np.arange(10, 16)] * 11 + [np.arange(16, 22)]}
    found = by_measure(group_organization(layer, np.arange(6), controls, QUICK, rng))
    assert found["signed_modularity.random.null_mean"].estimate.n == 11
    assert found["mutual_information_linear.random.null_mean"].estimate.n == 11


def test_pictures_hold_group_and_typical_control(rng):
    heldout, truth = planted(rng, 300)
    layer = layer_of(heldout, heldout)
    groups = {
        "plateau": (np.arange(12), random_groups(rng, np.arange(12), 80, 9)),
        "tiny": (np.arange(2), []),
        "lonely": (np.arange(5), []),
    }
    arrays = organization.community_pictures(layer, groups, QUICK, rng)
    assert set(arrays) == {
        *(f"plateau.{name}" for name in ("correlation", "community", "matched_correlation", "matched_community")),
        "lonely.correlation",
        "lonely.community",
    }
    assert partition_agreement(arrays["plateau.community"][None], truth[None])[0] == 1
    np.testing.assert_array_equal(arrays["plateau.correlation"], layer.correlation[:12, :12])


def test_table_has_adjusted_p_and_reason_and_the_paper_s_table_one_row_a_measure(rng):
    layer = layer_of(rng.normal(size=(60, 40)), rng.normal(size=(60, 40)))
    controls = {"random": random_groups(rng, np.arange(6), 40, 30), "matched": []}
    found = [("rare", "plateau", f) for f in group_organization(layer, np.arange(6), controls, QUICK, rng)]
    found += [("rare", "tiny", f) for f in group_organization(layer, np.arange(2), controls, QUICK, rng)]
    frames = [organization.organization_frame(CheckpointName("a", f"step{step}"), found) for step in (1, 8)]
    assert list(frames[0].columns) == [*MEASURE_COLUMNS, "q_value", "reason"]
    tested = frames[0]["p_value"].notna()
    assert frames[0]["q_value"].notna().equals(tested)
    assert (frames[0].loc[tested, "q_value"] >= frames[0].loc[tested, "p_value"]).all()
    assert (frames[0].loc[frames[0]["group"] == "tiny", "reason"] != "").all()
    table = paper_table(pd.concat(frames))
    assert set(table["checkpoint"]) == {"step8"}
    assert not table.duplicated(["group", "measure"]).any()
    row = table.set_index(["group", "measure"]).loc[("plateau", "signed_modularity")]
    source = frames[1].set_index(["group", "measure"])
    assert row["p_random"] == source.loc[("plateau", "signed_modularity.random"), "p_value"]
    assert row["null_mean_shift"] == source.loc[("plateau", "signed_modularity.shift.null_mean"), "value"]
    assert np.isnan(row["p_matched"])
    assert np.isfinite(table.set_index(["group", "measure"]).loc[("plateau", "mutual_information_shuffled"), "value"])
