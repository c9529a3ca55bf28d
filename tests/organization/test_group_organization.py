"""A group's organization against its nulls: planted blocks, noise, places, weights, and what cannot be measured."""

import itertools

import numpy as np
import pandas as pd
import pytest

from rareneurons.evidence import Evidence
from rareneurons.groups import ControlledGroup
from rareneurons.organization import measures
from rareneurons.organization.activations import LayerActivations, rotations, shifted_correlations
from rareneurons.organization.communities import consensus_partitions, partition_agreement
from rareneurons.organization.divisions import divide
from rareneurons.organization.estimates import (
    ACTIVATION_UNITS,
    group_organization,
    group_places,
    organization_estimates,
    paper_table,
)
from rareneurons.organization.pictures import community_pictures
from rareneurons.organization.settings import OrganizationSettings
from rareneurons.stats import benjamini_hochberg, frame_of_tests
from rareneurons.tables import MEASURE_COLUMNS, CheckpointName, Estimate, rows_of

QUICK = OrganizationSettings(bootstrap=0, shifts=99, seeds=1, resolutions=[1.0], pairs=20, rotations=20, plants=2)
DRAWS = 200
BLOCKS_RAISE = (
    ("signed_modularity", ""),
    ("silhouette", ""),
    ("mutual_information", ""),
    ("mutual_information", "linear"),
)


def layer_of(heldout: np.ndarray, discovery: np.ndarray, per_document: int = 5) -> LayerActivations:
    return LayerActivations(heldout, np.arange(len(heldout)) // per_document, discovery)


def random_groups(rng, members: np.ndarray, n_neurons: int, number: int) -> np.ndarray:
    others = np.setdiff1d(np.arange(n_neurons), members)
    drawn = [rng.choice(others, len(members), replace=False) for _ in range(number)]
    return np.array(drawn, dtype=np.int64).reshape(-1, len(members))


def group_of(members, **controls) -> ControlledGroup:
    members = np.asarray(members)
    return ControlledGroup(members, {kind: np.reshape(drawn, (-1, len(members))) for kind, drawn in controls.items()})


def by_key(estimates) -> dict[tuple[str, str, str], Estimate]:
    """Measure, part and what it is compared with -> estimate of the value."""
    values = [estimate for estimate in estimates if estimate.quantity == "value"]
    found = {(each.measure, each.part, each.against): each for each in values}
    assert len(found) == len(values)
    return found


def planted(rng, n_rows: int, strength: float = 1.5) -> tuple[np.ndarray, np.ndarray]:
    """Activations (rows, 80) whose first 12 neurons are three blocks of four, and the blocks."""
    activation = rng.normal(size=(n_rows, 80))
    activation[:, :12] += strength * np.repeat(rng.normal(size=(n_rows, 3)), 4, axis=1)
    return activation, np.repeat(np.arange(3), 4)


@pytest.mark.calibration
def test_independent_neurons_have_small_p_values_as_often_as_they_say():
    """Every measure and null, 99 null groups each: p < 0.05 in at most 9 % of 200 draws."""
    rng = np.random.default_rng(11)
    small: dict[tuple, list[bool]] = {}
    for _ in range(DRAWS):
        layer = layer_of(rng.normal(size=(60, 30)), rng.normal(size=(60, 30)))
        members = rng.choice(30, 5, replace=False)
        group = group_of(members, random=random_groups(rng, members, 30, 99))
        found = group_organization(layer, group, QUICK, rng)
        found += group_places(rng.normal(size=(30, 16)), group, QUICK, rng)
        for estimate in found:
            if np.isfinite(estimate.p_value):
                small.setdefault(estimate.key, []).append(estimate.p_value < 0.05)
    assert len(small) == 5 * 2 + 5 + 2
    rates = {key: np.mean(flags) for key, flags in small.items()}
    assert max(rates.values()) <= 0.09, rates
    continuous = [rate for (name, *_), rate in rates.items() if "modularity" in name or "information" in name]
    assert len(continuous) == 2 * 3 + 1
    assert min(continuous) >= 0.01, rates  # a test that never rejects is no test


@pytest.mark.calibration
def test_planted_blocks_are_found_and_stand_out_from_every_null():
    rng = np.random.default_rng(13)
    agreement, found_by = [], {}
    for _ in range(30):
        heldout, truth = planted(rng, 300)
        layer = layer_of(heldout, planted(rng, 300)[0])
        group = group_of(np.arange(12), random=random_groups(rng, np.arange(12), 80, 99))
        labels = consensus_partitions(layer.correlation[None, :12, :12], 2, [0.75, 1, 1.25], rng)
        agreement.append(partition_agreement(labels, truth[None])[0])
        found = by_key(group_organization(layer, group, QUICK, rng))
        for measure, null in itertools.product(BLOCKS_RAISE, ("random", "shift")):
            found_by.setdefault((*measure, null), []).append(found[*measure, null].p_value < 0.05)
        assert found["partition_agreement", "", ""].value > 0.9
    assert np.mean(agreement) >= 0.9
    assert all(np.mean(flags) >= 0.95 for flags in found_by.values()), found_by


@pytest.mark.calibration
def test_modularity_of_noise_is_not_above_its_nulls():
    rng = np.random.default_rng(17)
    gaps: dict[str, list[float]] = {"random": [], "shift": []}
    for _ in range(40):
        layer = layer_of(rng.normal(size=(150, 60)), rng.normal(size=(150, 60)))
        group = group_of(np.arange(12), random=random_groups(rng, np.arange(12), 60, 50))
        found = by_key(group_organization(layer, group, QUICK, rng))
        for null, mine in gaps.items():
            estimate = found["signed_modularity", "", null]
            mine.append(estimate.value - estimate.null_mean)
    for mine in gaps.values():
        assert abs(np.mean(mine)) < 3 * np.std(mine) / np.sqrt(len(mine))


def test_one_common_factor_is_no_clusters_but_information():
    """All neurons move together: high mutual information, modularity below its nulls (one community is no division)."""
    rng = np.random.default_rng(19)
    activation = rng.normal(size=(300, 60))
    activation[:, :10] += 2 * rng.normal(size=(300, 1))
    layer = layer_of(activation, activation[::-1])
    group = group_of(np.arange(10), random=random_groups(rng, np.arange(10), 60, 99))
    found = by_key(group_organization(layer, group, QUICK, rng))
    modularity = found["signed_modularity", "", "random"]
    assert modularity.value < modularity.null_mean
    assert modularity.p_value < 0.05
    information = found["mutual_information", "", "random"]
    assert information.p_value < 0.05
    assert information.value > 0.3
    assert abs(found["mutual_information", "shuffled_rows", ""].value) < 0.03


@pytest.mark.oracle
def test_shifts_equal_rolled_columns(rng):
    activation = rng.normal(size=(30, 4))
    offsets = rng.integers(30, size=(3, 4))
    fast = shifted_correlations(activation, offsets)
    for found, offset in zip(fast, offsets, strict=True):
        rolled = np.column_stack([np.roll(activation[:, n], offset[n]) for n in range(4)])
        np.testing.assert_allclose(found, np.corrcoef(rolled, rowvar=False), atol=1e-12)
        np.testing.assert_array_equal(rotations(activation)(offset).T, rolled)


@pytest.mark.oracle
def test_index_distances_equal_loops(rng):
    groups = np.stack([rng.choice(100, 7, replace=False) for _ in range(5)])
    for group, distance, gap in zip(
        groups, measures.mean_index_distance(groups), measures.mean_index_gap(groups), strict=True
    ):
        assert distance == pytest.approx(np.mean([abs(a - b) for a, b in itertools.combinations(group.tolist(), 2)]))
        assert gap == np.mean([min(abs(a - b) for b in group if b != a) for a in group])


def test_neighbouring_indices_are_closer_than_chance_and_weights_in_blocks_are_found():
    rng = np.random.default_rng(23)
    weight = rng.normal(size=(200, 100))
    members = np.arange(50, 62)
    weight[members] += 3 * np.repeat(rng.normal(size=(3, 100)), 4, axis=0)
    controls = {"random": random_groups(rng, members, 200, 99), "matched": random_groups(rng, members, 200, 99)}
    found = by_key(group_places(weight, group_of(members, **controls), QUICK, rng))
    small = ("index_distance", ""), ("index_gap", ""), ("signed_modularity", "w_out")
    for kind, measure in itertools.product(controls, small):
        assert found[*measure, kind].p_value < 0.05
    assert found["index_gap", "", "random"].value == 1
    assert found["communities", "w_out", "random"].value == 3


def test_interval_holds_the_value_and_widens_with_fewer_documents():
    rng = np.random.default_rng(29)
    heldout, _ = planted(rng, 400)
    settings = OrganizationSettings(60, 10, 1, [1.0], 20, rotations=20, plants=2)
    widths = []
    for per_document in (2, 80):
        layer = layer_of(heldout, heldout, per_document)
        found = by_key(group_organization(layer, group_of(np.arange(12)), settings, rng))
        for measure in BLOCKS_RAISE:
            estimate = found[*measure, "shift"]
            assert estimate.ci_low < estimate.value < estimate.ci_high
        estimate = found["signed_modularity", "", "shift"]
        widths.append(estimate.ci_high - estimate.ci_low)
        assert found["partition_agreement", "", ""].ci_high <= 1
    assert widths[0] < 0.2
    assert widths[0] != widths[1]


@pytest.mark.calibration
def test_intervals_cover_the_mean_over_data_sets():
    """Blocks in 100 data sets of 40 documents: the interval holds the mean modularity of the data sets in most."""
    rng = np.random.default_rng(31)
    settings = OrganizationSettings(60, 10, 1, [1.0], 5, rotations=20, plants=2)
    estimates = []
    for _ in range(100):
        heldout = planted(rng, 200, strength=1.0)[0][:, :12]
        layer = layer_of(heldout, heldout)
        found = by_key(group_organization(layer, group_of(np.arange(12)), settings, rng))
        estimates.append(found["signed_modularity", "", "shift"])
    truth = np.mean([e.value for e in estimates])
    covered = np.mean([e.ci_low <= truth <= e.ci_high for e in estimates])
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
    group = group_of(members, random=[np.arange(len(members))] * 12, matched=[])
    with np.errstate(all="ignore"):
        layer = layer_of(heldout, discovery)
    found = group_organization(layer, group, QUICK, rng)
    expected = {(*measure, null) for measure in ACTIVATION_UNITS for null in ("random", "matched", "shift")}
    assert set(by_key(found)) == expected | {("separation", "", null) for null in ("random", "matched", "rotation")}
    assert all(estimate.reason == reason for estimate in found)
    assert all(np.isnan(estimate.value) and np.isnan(estimate.p_value) for estimate in found)


def test_two_neurons_have_no_place_and_missing_controls_are_said(rng):
    found = group_places(rng.normal(size=(20, 4)), group_of([1, 2], random=[]), QUICK, rng)
    assert len(found) == 5
    assert all(np.isnan(estimate.value) and "2 neurons" in estimate.reason for estimate in found)
    layer = layer_of(rng.normal(size=(50, 20)), rng.normal(size=(50, 20)))
    found = by_key(group_organization(layer, group_of(np.arange(6), matched=[]), QUICK, rng))
    estimate = found["signed_modularity", "", "matched"]
    assert "no matched group of this size" in estimate.reason
    assert np.isfinite(estimate.value)
    assert np.isnan(estimate.p_value)
    assert estimate.null_n == 0
    assert found["signed_modularity", "", "shift"].reason == ""


def test_a_control_with_a_constant_neuron_takes_no_part(rng):
    activation = rng.normal(size=(60, 30))
    activation[:, 20] = 0
    layer = layer_of(activation, activation)
    group = group_of(np.arange(6), random=[np.arange(10, 16)] * 11 + [np.arange(16, 22)])
    found = by_key(group_organization(layer, group, QUICK, rng))
    assert found["signed_modularity", "", "random"].null_n == 11
    assert found["mutual_information", "linear", "random"].null_n == 11


def test_pictures_hold_group_and_typical_control(rng):
    heldout, truth = planted(rng, 300)
    layer = layer_of(heldout, heldout)
    groups = {
        "plateau": group_of(np.arange(12), matched=random_groups(rng, np.arange(12), 80, 9)),
        "tiny": group_of(np.arange(2), matched=[]),
        "lonely": group_of(np.arange(5), matched=[]),
    }
    arrays = community_pictures(layer, groups, QUICK, rng)
    assert set(arrays) == {
        *(f"plateau.{name}" for name in ("correlation", "community", "matched_correlation", "matched_community")),
        "lonely.correlation",
        "lonely.community",
    }
    assert partition_agreement(arrays["plateau.community"][None], truth[None])[0] == 1
    division = divide(layer.discovery_correlation[None, :12, :12], 1, rng)
    expected = division.residual(layer.correlation[:12, :12])[0]
    np.testing.assert_allclose(arrays["plateau.correlation"], expected, atol=1e-12)


def test_table_has_adjusted_p_and_reason_and_the_paper_s_table_one_row_per_measure(rng):
    layer = layer_of(rng.normal(size=(60, 40)), rng.normal(size=(60, 40)))
    group = group_of(np.arange(6), random=random_groups(rng, np.arange(6), 40, 30), matched=[])
    tiny = group_of(np.arange(2), random=[], matched=[])
    found = [("rare", "plateau", each) for each in group_organization(layer, group, QUICK, rng)]
    found += [("rare", "tiny", each) for each in group_organization(layer, tiny, QUICK, rng)]
    frames = [frame_of_tests(CheckpointName("a", f"step{step}"), found) for step in (1, 8)]
    assert list(frames[0].columns) == MEASURE_COLUMNS
    tested = frames[0]["p_value"].notna()
    assert frames[0]["q_value"].notna().equals(tested)
    assert (frames[0].loc[tested, "q_value"] >= frames[0].loc[tested, "p_value"]).all()
    assert (frames[0].loc[frames[0]["group"] == "tiny", "reason"] != "").all()
    table = paper_table(pd.concat(frames))
    assert set(table["checkpoint"]) == {"step8"}
    assert not table.duplicated(["group", "measure", "part"]).any()
    assert len(table) == 2 * (len(ACTIVATION_UNITS) + 1)
    assert np.isfinite(table["rotation_mean"]).sum() == 1
    row = table.set_index(["group", "measure", "part"]).loc["plateau", "signed_modularity", ""]
    source = rows_of(frames[1], "signed_modularity", against="random").set_index("group").loc["plateau"]
    assert row["random_p"] == source["p_value"]
    assert row["random_q"] == source["q_value"]
    shift = rows_of(frames[1], "signed_modularity", against="shift").set_index("group").loc["plateau"]
    assert row["shift_mean"] == shift["null_mean"]
    assert np.isnan(row["matched_p"])
    shuffled = rows_of(frames[1], "mutual_information", "shuffled_rows", against="")
    assert np.isfinite(shuffled["value"]).all()


def checkpoint_evidence(rng) -> Evidence:
    """160 rows of each condition, half of them held out, of 40 neurons."""
    in_rare = np.arange(320) < 160
    rows = pd.DataFrame(
        {
            "document": np.arange(320) // 4,
            "split": np.where(np.arange(320) % 160 < 80, "heldout", "discovery"),
            "in_rare": in_rare,
            "in_common": ~in_rare,
        }
    )
    last_layer = {"output_weight": rng.normal(size=(40, 16))}
    return Evidence(CheckpointName("m", "step8"), ("rare", "common"), rows, rng.normal(size=(320, 40)), last_layer)


def test_a_checkpoint_s_table_has_both_conditions_and_tests_of_one_kind_of_controls_are_a_family(rng):
    """Tests against random groups or shifts must not help those against matched groups."""
    evidence = checkpoint_evidence(rng)
    members = {"plateau": np.arange(6), "suppress_plateau": np.arange(6, 11)}
    groups = {
        name: group_of(neurons, random=random_groups(rng, neurons, 40, 20), matched=random_groups(rng, neurons, 40, 20))
        for name, neurons in members.items()
    }
    found = organization_estimates(evidence, groups, QUICK, rng)
    table = found.table
    assert list(table.columns) == MEASURE_COLUMNS
    assert set(table["condition"]) == {"rare", "common"}
    assert set(table.loc[table["part"] == "w_out", "condition"]) == {"rare"}
    assert set(table["against"]) == {"random", "matched", "shift", "rotation", ""}
    for against, family in table.groupby("against"):
        expected = benjamini_hochberg(family["p_value"].to_numpy())
        np.testing.assert_array_equal(family["q_value"], expected if against else np.nan)
    assert found.draws.empty
    pictures = found.products["pictures"]
    both = [np.corrcoef(evidence.at("rare", s)[0][:, :6], rowvar=False) for s in ("discovery", "heldout")]
    rare = divide(both[0][None], 1, rng).residual(both[1])[0]
    np.testing.assert_allclose(pictures["plateau.correlation"], rare, atol=1e-12)
    assert "suppress_plateau.matched_community" in pictures


def test_a_group_s_draws_follow_the_groups_table_in_which_suppressing_neurons_are_last(rng):
    evidence, drawn = checkpoint_evidence(rng), {}
    neurons = {"plateau": np.arange(6), "suppress_plateau": np.arange(6, 11), "top_33": np.arange(4)}
    for order in (list(neurons), ["plateau", "top_33", "suppress_plateau"]):
        groups = {name: group_of(neurons[name], random=[], matched=[]) for name in order}
        found = organization_estimates(evidence, groups, QUICK, np.random.default_rng(3))
        drawn[tuple(order)] = found.table.set_index(["condition", "group", "measure", "part", "against"])["null_mean"]
    one, other = drawn.values()
    rare = one.index.get_level_values("condition") == "rare"
    pd.testing.assert_series_equal(one[rare], other[rare])
