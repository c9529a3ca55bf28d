"""Coordination of groups against their controls: planted truth, noise, loud neurons, and what cannot be decided."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from rareneurons.coordination.estimates import (
    CoordinationSettings,
    activation_coordination,
    coordination_estimates,
    paper_table,
    weight_coordination,
)
from rareneurons.coordination.measures import COUNTS, MEASURES, ROW_MEASURES
from rareneurons.evidence import Evidence
from rareneurons.groups import CONTROL_KINDS, ControlledGroup, neuron_features
from rareneurons.matching import resembling_groups
from rareneurons.stats import correlation_matrix, document_weights, frame_of_tests, percentile_interval
from rareneurons.tables import MEASURE_COLUMNS, CheckpointName, Estimate, rows_of

KINDS = CONTROL_KINDS
NONE = {kind: np.empty((0, 6), dtype=int) for kind in KINDS}
SETTINGS = CoordinationSettings()


def drawn_controls(rng, members, candidates, n_controls, features=None):
    """Random controls, and matched ones where features (N, F) are given (else random ones too)."""
    size = len(members)
    draws = {kind: np.array([rng.permutation(candidates)[:size] for _ in range(n_controls)]) for kind in KINDS}
    if features is not None:
        draws["matched"] = resembling_groups(members, candidates, features, n_controls, rng)
    return draws


def measured(activation, groups, rng, n_documents=40, n_draws=12) -> dict[tuple, Estimate]:
    """(group, measure, part, quantity, against) -> estimate."""
    document = np.arange(len(activation)) * n_documents // len(activation)
    weights = document_weights(len(set(document)), n_draws, rng)
    found, _ = activation_coordination(activation, document, groups, weights, SETTINGS, rng)
    by_key = {(group, *e.key): e for group, e in found}
    assert len(by_key) == len(found)
    return by_key


def value(found, measure, against="matched", part="", group="plateau") -> Estimate:
    return found[group, measure, part, "value", against]


def difference(found, measure, against="matched", group="plateau") -> Estimate:
    return found[group, measure, "", "difference", against]


def plateau_alone(rng, n_neurons=40, n=6, n_controls=20):
    members = np.arange(n)
    drawn = drawn_controls(rng, members, np.arange(2 * n, n_neurons), n_controls)
    return {"plateau": ControlledGroup(members, drawn)}


@pytest.mark.calibration
def test_independent_neurons_are_called_coordinated_in_five_percent_of_draws():
    """200 draws, every measure of activations and weights, all kinds of controls; p < 0.05 in at most 5 % on average.

    The largest of the 54 shares may be 10 %: it is one of many, and controls drawn from 142 neurons share members.
    """
    rng = np.random.default_rng(17)
    n_neurons, n = 160, 12
    rejected: dict[tuple, int] = {}
    members, candidates = np.arange(n), np.arange(n + 6, n_neurons)
    for _ in range(200):
        activation = rng.normal(size=(100, n_neurons)) + rng.normal(size=n_neurons)
        groups = {
            "plateau": ControlledGroup(members, drawn_controls(rng, members, candidates, 99)),
            "suppress_plateau": ControlledGroup(np.arange(n, n + 6), NONE),
        }
        weights = document_weights(5, 1, rng)
        found, _ = activation_coordination(activation, np.arange(100) // 20, groups, weights, SETTINGS, rng)
        found += weight_coordination(rng.normal(size=(n_neurons, 40)), groups)
        for group, estimate in found:
            if group == "plateau" and np.isfinite(estimate.p_value):
                rejected[estimate.key] = rejected.get(estimate.key, 0) + (estimate.p_value < 0.05)
    assert len(rejected) == len(KINDS) * (9 + 1 + 5 + 3)
    assert {key: count for key, count in rejected.items() if count > 20} == {}
    assert np.mean(list(rejected.values())) <= 10
    continuous = [
        count for (measure, *_), count in rejected.items() if measure not in COUNTS and "dimension" not in measure
    ]
    assert np.mean(continuous) > 4, "a test that never rejects is not calibrated either"


@pytest.mark.calibration
def test_a_planted_five_dimensional_group_is_found_among_a_thousand_neurons():
    """50 neurons, a third of whose variance lies in 5 shared dimensions: found in at least 95 % of 40 draws."""
    rng = np.random.default_rng(19)
    members, found = np.arange(50), dict.fromkeys(("effective_dimension", "participation_ratio"), 0)
    features = neuron_features(rng.normal(size=(200, 1000)), rng.normal(size=(1000, 8))).standardised()
    controls = drawn_controls(rng, members, np.arange(50, 1000), 99, features)
    for _ in range(40):
        activation = rng.normal(size=(200, 1000))
        activation[:, members] += np.sqrt(0.5) * rng.normal(size=(200, 5)) @ rng.normal(size=(5, 50)) / np.sqrt(5)
        estimates = measured(activation, {"plateau": ControlledGroup(members, controls)}, rng, n_draws=1)
        for name in found:
            found[name] += all(value(estimates, name, kind).p_value < 0.05 for kind in KINDS)
    assert min(found.values()) >= 38


@pytest.mark.calibration
def test_a_group_that_is_merely_loud_is_found_against_random_neurons_alone():
    """Large mean and variance, nothing shared: uncentred cosines exceed random groups', mostly not those of loud ones.

    The dimension, on which C3 rests, keeps its level against matched groups. Cosines do not quite: they depend on the
    means in another way than what is matched.
    """
    rng = np.random.default_rng(23)
    found, members, dimension = dict.fromkeys(KINDS, 0), np.arange(15), 0
    for _ in range(60):
        loudness = np.concatenate([rng.uniform(2, 3, 75), rng.uniform(0.1, 1, 225)])  # a quarter, members among them
        activation = loudness * (loudness + rng.normal(size=(200, 300)))
        features = neuron_features(activation, rng.normal(size=(300, 8))).standardised()
        controls = drawn_controls(rng, members, np.arange(15, 300), 99, features)
        permuted = resembling_groups(members, np.arange(300), features, 99, rng)
        group = ControlledGroup(members, controls, permuted=permuted)
        estimates = measured(activation, {"plateau": group}, rng, n_draws=1)
        for kind in KINDS:
            found[kind] += value(estimates, "mean_cosine", kind).p_value < 0.05
        dimension += value(estimates, "effective_dimension").p_value < 0.05
    assert found["random"] == 60
    assert found["matched"] <= 20
    assert dimension <= 7


@pytest.mark.calibration
@pytest.mark.parametrize(("n_documents", "heavy"), [(30, True), (70, False)])
def test_intervals_hold_the_truth_and_the_estimate(n_documents, heavy):
    """100 draws of documents with factors of their own: 92 % to 98 % of intervals hold the mean over draws."""
    rng = np.random.default_rng(29)
    n, members = 14, np.arange(14)
    loadings = rng.normal(size=(4, 90)) * np.where(np.arange(90) < n, 0.9, 0.4)
    controls = {kind: np.array([rng.permutation(np.arange(n, 90))[:n] for _ in range(40)]) for kind in KINDS[1:]}
    groups = {"plateau": ControlledGroup(members, controls)}
    document = np.repeat(np.arange(n_documents), 5)
    weights = document_weights(n_documents, 10, rng)
    found: dict[tuple, list] = {}
    for _ in range(100):
        noise = rng.standard_t(5, size=(5 * n_documents, 90)) if heavy else rng.normal(size=(5 * n_documents, 90))
        factors = rng.normal(size=(n_documents, 4))[document] + rng.normal(size=(5 * n_documents, 4))
        estimates, _ = activation_coordination(factors @ loadings + noise, document, groups, weights, SETTINGS, rng)
        for _, each in estimates:
            if each.measure in ("effective_dimension", "participation_ratio") and not each.part:
                found.setdefault(each.key, []).append((each.value, each.ci_low, each.ci_high))
    assert len(found) == 2 * 4
    for number in map(np.array, found.values()):
        value, low, high = number.T
        assert (low < value).all()
        assert (value < high).all()
        assert 0.9 <= np.mean((low <= value.mean()) & (value.mean() <= high)) <= 1.0
    covered = [
        np.mean((v[:, 1] <= v[:, 0].mean()) & (v[:, 0].mean() <= v[:, 2])) for v in map(np.array, found.values())
    ]
    assert 0.92 <= np.mean(covered) <= 0.98


@pytest.mark.oracle
def test_estimates_equal_those_of_a_loop_over_documents_and_controls(rng):
    """Mean correlation, its interval, p and differences, by one correlation matrix at a time: within 1e-9."""
    activation = rng.normal(size=(80, 30)) + rng.normal(size=(80, 1))
    members = np.arange(5)
    controls, permuted = (
        drawn_controls(rng, members, np.arange(10, 30), 25),
        drawn_controls(rng, members, np.arange(30), 19),
    )
    groups = {"plateau": ControlledGroup(members, controls, permuted=permuted["random"])}
    document = np.repeat(np.arange(16), 5)
    weights = document_weights(16, 40, rng)
    estimates, draws = activation_coordination(activation, document, groups, weights, SETTINGS, rng)
    found = {(group, *e.key): e for group, e in estimates}

    def mean(neurons, without=-1):
        matrix = correlation_matrix(activation[np.ix_(document != without, neurons)])
        return matrix[np.triu_indices(len(neurons), 1)].mean()

    def ends(value, left_out):
        half = stats.t.ppf(0.975, 15) * np.sqrt(15 / 16 * np.sum((left_out - left_out.mean()) ** 2))
        return value - half, value + half

    left_out = np.array([mean(members, one) for one in range(16)])
    by_key = {(each.measure, each.part, each.quantity, each.against): each.values for _, each in draws}
    moved = np.array([np.sqrt(15 / 16) * ((w - 1) @ (left_out.mean() - left_out)) for w in weights])
    np.testing.assert_allclose(by_key["mean_correlation", "", "value", ""], mean(members) + moved, atol=1e-9)
    for kind, drawn in controls.items():
        null = np.array([mean(c) for c in drawn])
        estimate = value(found, "mean_correlation", kind)
        assert estimate.value == pytest.approx(mean(members), abs=1e-9)
        assert (estimate.ci_low, estimate.ci_high) == pytest.approx(ends(mean(members), left_out), abs=1e-9)
        assert estimate.null_mean == pytest.approx(null.mean(), abs=1e-9)
        if kind != "matched":
            assert estimate.p_value == (np.sum(null >= mean(members)) + 1) / 26
            assert (estimate.null_low, estimate.null_high) == pytest.approx(percentile_interval(null), abs=1e-9)
            assert estimate.null_n == 25
        if kind != "random":
            few = drawn[: SETTINGS.resampled_controls]
            gaps = left_out - [np.mean([mean(c, one) for c in few]) for one in range(16)]
            gap = difference(found, "mean_correlation", kind)
            assert gap.value == pytest.approx(mean(members) - null.mean(), abs=1e-9)
            assert (gap.ci_low, gap.ci_high) == pytest.approx(ends(gap.value, gaps), abs=1e-9)
            assert by_key["mean_correlation", "", "difference", kind].mean() == pytest.approx(gap.value, abs=0.05)
    # The p against matched groups is that of the permuted ones, whose spread is widened by what they share.
    matched, null = value(found, "mean_correlation"), np.array([mean(c) for c in permuted["random"]])
    assert (matched.p_value, matched.null_n) == ((np.sum(null >= mean(members)) + 1) / 20, 19)
    shared = np.mean([len(set(one) & set(members)) / 5 for one in permuted["random"]])
    low, high = percentile_interval(null)
    spread = (low - null.mean()) / (1 - shared), (high - null.mean()) / (1 - shared)
    assert matched.null_low - matched.null_mean == pytest.approx(spread[0], abs=1e-9)
    assert matched.null_high - matched.null_mean == pytest.approx(spread[1], abs=1e-9)
    continuous = set(MEASURES) - set(COUNTS)
    about = ("value", ""), ("difference", "matched"), ("difference", "shuffled")
    assert set(by_key) == {(name, "", *each) for name in continuous for each in about}
    assert {group for group, _ in draws} == {"plateau"}


@pytest.mark.oracle
def test_negative_correlation_with_all_others_equals_a_loop_over_documents(rng):
    activation, document = rng.normal(size=(80, 30)), np.repeat(np.arange(16), 5)
    activation[:, 8:] -= 0.4 * activation[:, :1]
    groups = plateau_alone(rng, 30)
    found = measured(activation, groups, rng, n_documents=16)

    def mean(neurons, without=-1):
        matrix = np.corrcoef(activation[document != without], rowvar=False)
        outside = np.setdiff1d(np.arange(30), [*neurons, *own])
        return np.maximum(-matrix[np.ix_(neurons, outside)], 0).mean()

    own, controls = np.arange(6), groups["plateau"].controls
    left_out = np.array([mean(own, one) for one in range(16)])
    for kind in KINDS:
        null = np.array([mean(each) for each in controls[kind]])
        estimate = value(found, "negative_correlation", kind, "other_neurons")
        assert (estimate.value, estimate.null_mean) == pytest.approx((mean(own), null.mean()), abs=1e-9)
        assert estimate.p_value == (np.sum(null >= mean(own)) + 1) / 21
        if kind != "random":
            few = controls[kind][: SETTINGS.resampled_controls]
            gaps = left_out - [np.mean([mean(each, one) for each in few]) for one in range(16)]
            half = stats.t.ppf(0.975, 15) * np.sqrt(15 / 16 * np.sum((gaps - gaps.mean()) ** 2))
            gap = found["plateau", "negative_correlation", "other_neurons", "difference", kind]
            middle = mean(own) - null.mean()
            assert (gap.value, gap.ci_low, gap.ci_high) == pytest.approx((middle, middle - half, middle + half))


def test_every_measure_has_value_interval_p_and_null(rng):
    groups = plateau_alone(rng) | {"suppress_plateau": ControlledGroup(np.arange(6, 12), NONE)}
    found = measured(rng.normal(size=(160, 40)), groups, rng)
    for name, part in (
        ("effective_dimension", ""),
        ("coactivation", ""),
        ("subspace_angle", "suppress_plateau"),
        ("cosine_between", "random"),
    ):
        for kind in KINDS:
            estimate = value(found, name, kind, part)
            assert estimate.ci_low <= estimate.ci_high
            assert 0 < estimate.p_value <= 1
            assert (estimate.n, estimate.reason) == (160, "")
            assert estimate.null_low <= estimate.null_mean <= estimate.null_high
            # The first random control is what groups are compared with; it cannot stand in for one beside itself.
            assert estimate.null_n == 20 - (part == "random" and kind == "random")


def test_fewer_rows_give_fewer_dimensions(rng):
    found = measured(rng.normal(size=(160, 40)), plateau_alone(rng, n=12), rng)
    by_rows = [value(found, "effective_dimension", part=f"rows_{n}").null_mean for n in (20, 40, 80)]
    assert by_rows == sorted(by_rows)
    assert by_rows[0] < value(found, "effective_dimension").null_mean - 0.1
    assert np.isnan(value(found, "effective_dimension", part="rows_20").p_value)


@pytest.mark.parametrize(
    ("n_rows", "n", "constant", "reason"),
    [
        (80, 2, False, "2 neurons, at least 3 are needed"),
        (8, 8, False, "8 rows for 8 neurons, more rows than neurons are needed"),
        (80, 6, True, "1 of 6 neurons are constant on these rows"),
    ],
)
def test_what_cannot_be_told_has_a_reason_and_no_number(rng, n_rows, n, constant, reason):
    activation = rng.normal(size=(n_rows, 40))
    if constant:
        activation[:, 0] = 0.1
    groups = plateau_alone(rng, n=n)
    found = measured(activation, groups, rng, n_documents=4)
    mine = [e for e in found.values() if not e.part.startswith("rows_")]
    assert {e.reason for e in mine} == {reason}
    assert np.isnan([e.value for e in mine]).all()
    assert np.isnan([e.p_value for e in found.values()]).all()
    assert all(e.reason or np.isfinite(e.value) for e in found.values())
    assert all(e.null_n == 0 for e in found.values() if e.reason)


def test_a_constant_neuron_elsewhere_leaves_the_group_its_number(rng):
    """A dead neuron among the controls takes their control groups out of the null, not the test."""
    activation = rng.normal(size=(80, 40))
    activation[:, 20] = 0
    groups = plateau_alone(rng)
    n_alive = sum(20 not in control for control in groups["plateau"].controls["matched"])
    found = measured(activation, groups, rng)
    assert 0 < n_alive < 20
    assert value(found, "effective_dimension").null_n == n_alive
    assert np.isfinite(value(found, "effective_dimension").p_value)
    assert np.isfinite(difference(found, "effective_dimension").ci_low)


def test_a_partner_that_cannot_be_told_is_named(rng):
    activation = rng.normal(size=(80, 40))
    activation[:, 7] = 3
    groups = plateau_alone(rng) | {"suppress_plateau": ControlledGroup(np.arange(6, 12), NONE)}
    found = measured(activation, groups, rng)
    estimate = value(found, "subspace_angle", part="suppress_plateau")
    assert np.isnan(estimate.value)
    assert estimate.reason == "suppress_plateau: 1 of 6 neurons are constant on these rows"
    assert np.isfinite(value(found, "effective_dimension").value)


def test_no_matched_controls_means_no_p_and_a_reason(rng):
    members = np.arange(6)
    controls = drawn_controls(rng, members, np.arange(6, 40), 20) | {"matched": np.empty((0, 6), dtype=int)}
    found = measured(rng.normal(size=(80, 40)), {"plateau": ControlledGroup(members, controls)}, rng)
    estimate = value(found, "effective_dimension")
    assert np.isfinite(estimate.value)
    assert np.isnan(estimate.p_value)
    assert estimate.reason == "no matched controls: too few other neurons"
    assert estimate.null_n == 0
    assert np.isfinite(value(found, "effective_dimension", "random").p_value)


def test_weights_in_a_plane_have_two_dimensions(rng):
    weight = rng.normal(size=(60, 32))
    weight[:10] = rng.normal(size=(10, 2)) @ rng.normal(size=(2, 32))
    members = np.arange(10)
    groups = {
        "plateau": ControlledGroup(members, drawn_controls(rng, members, np.arange(10, 60), 30)),
        "top_33": ControlledGroup(np.arange(40), {"random": np.empty((0, 40), dtype=int)}),
    }
    found = {(group, *e.key): e for group, e in weight_coordination(weight, groups)}
    assert {part for _, _, part, *_ in found} == {"w_out"}
    estimate = value(found, "effective_dimension", part="w_out")
    assert estimate.value <= 0.2
    assert estimate.p_value == pytest.approx(1 / 31)
    assert estimate.n == 32
    too_many = value(found, "mean_cosine", "random", "w_out", "top_33").reason
    assert too_many == "32 dimensions for 40 neurons, more dimensions than neurons are needed"


def test_paper_table_has_one_row_per_measure_at_the_last_checkpoint(rng):
    frames = []
    for step in (0, 8):
        found = measured(rng.normal(size=(80, 40)), plateau_alone(rng), rng)
        triples = [("rare", group, estimate) for (group, *_), estimate in found.items()]
        frames.append(frame_of_tests(CheckpointName("m", f"step{step}"), triples))
    assert list(frames[0].columns) == MEASURE_COLUMNS
    table = paper_table(pd.concat(frames))
    assert set(table["checkpoint"]) == {"step8"}
    assert len(table) == 9 + 1 + 2
    assert set(table["part"]) == {"", "random", "other_neurons"}
    row = table.set_index("measure").loc["effective_dimension"]
    for kind in KINDS:
        (last,) = rows_of(frames[1], "effective_dimension", against=kind).to_dict("records")
        assert row[f"{kind}_mean"] == last["null_mean"]
        assert row[f"{kind}_p"] == last["p_value"]
        assert row[f"{kind}_q"] == last["q_value"]
        assert row["value"] == last["value"]


def test_groups_that_are_tracked_backwards_are_measured_within_alone(rng):
    groups = plateau_alone(rng)
    groups["final_plateau"] = groups["top_33_without_types"] = groups["plateau"]
    found = measured(rng.normal(size=(160, 40)), groups, rng)
    tracked = {key[1:3] for key in found if key[0] == "final_plateau"}
    assert tracked == {(measure, "") for measure in MEASURES}
    assert {key[1:3] for key in found if key[0] == "top_33_without_types"} == tracked
    assert value(found, "effective_dimension", group="final_plateau") == value(found, "effective_dimension")
    assert difference(found, "mean_correlation", group="final_plateau") == difference(found, "mean_correlation")


def test_a_checkpoint_s_table_has_both_conditions_weights_at_the_chosen_one_and_draws(rng):
    """What the contract asks of a measure: one table in order, adjusted within a kind of controls, and draws."""
    rows = pd.DataFrame(
        {
            "document": np.arange(320) // 4,
            "split": np.where(np.arange(320) % 160 < 80, "heldout", "discovery"),
            "in_rare": np.arange(320) < 160,
            "in_common": np.arange(320) >= 160,
        }
    )
    evidence = Evidence(
        CheckpointName("m", "step8"),
        ("rare", "common"),
        rows,
        rng.normal(size=(320, 40)),
        {"output_weight": rng.normal(size=(40, 16))},
        weights={f"{condition}/heldout": document_weights(20, 12, rng) for condition in ("rare", "common")},
    )
    groups = plateau_alone(rng)
    found = coordination_estimates(evidence, groups, SETTINGS, np.random.default_rng(5))
    table, draws = found.table, found.draws
    assert list(table.columns) == MEASURE_COLUMNS
    assert set(table.loc[table["part"] == "w_out", "condition"]) == {"rare"}
    parts = {"rows_10", "rows_20", "rows_40"}
    assert set(table["part"]) == {"", "random", "other_neurons", "w_out", *parts}
    assert set(table.loc[table["part"].isin(parts), "measure"]) == set(ROW_MEASURES)
    for _, family in table[table["p_value"].notna()].groupby("against"):
        assert family["q_value"].max() == pytest.approx(family["p_value"].max())
    assert len(draws) == 2 * 3 * (len(MEASURES) - len(COUNTS))  # value and two differences in both conditions
    # The first condition is measured first, with the generator as it is given.
    activation, document = evidence.at("rare", "heldout")
    weights = evidence.weights["rare/heldout"]
    alone, _ = activation_coordination(activation, document, groups, weights, SETTINGS, np.random.default_rng(5))
    expected = [estimate.value for _, estimate in alone]
    np.testing.assert_array_equal(table["value"].to_numpy()[: len(expected)], expected)
