"""Spectra of groups against controls, intervals over redrawn groups, and numbers that do not exist."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from test_tails import transcribed_hill

from rareneurons.evidence import Evidence
from rareneurons.groups import ControlledGroup
from rareneurons.spectra.estimates import SpectraSettings, neuron_weights, spectra_estimates, spectrum_estimates
from rareneurons.spectra.group import group_spectra
from rareneurons.spectra.hill_plots import hill_plot_frame
from rareneurons.spectra.measures import UNITS, correlation_eigenvalues, spectrum_measures, standard_rows
from rareneurons.spectra.paper_table import paper_table
from rareneurons.spectra.tails import hill_exponent
from rareneurons.stats import frame_of_tests, percentile_interval
from rareneurons.tables import CheckpointName, Draws, Estimate, measure_frame, rows_of

KINDS = ("random", "matched")


def drawn(rng, n, candidates, n_groups) -> np.ndarray:
    return np.array([rng.permutation(candidates)[:n] for _ in range(n_groups)]).reshape(-1, n)


def named(found: list[Estimate] | list[Draws]) -> dict[tuple, Estimate | Draws]:
    """By measure, quantity and what it is compared with, all of one matrix."""
    assert len({each.part for each in found}) == 1
    by_name = {(each.measure, each.quantity, each.against): each for each in found}
    assert len(by_name) == len(found)
    return by_name


def measured(weights, members, controls, redrawn=(), n_draws=10, rng=None) -> dict[tuple, Estimate]:
    rng = np.random.default_rng(0) if rng is None else rng
    group = ControlledGroup(members, dict.fromkeys(KINDS, controls), list(redrawn))
    return named(spectrum_estimates(group_spectra(standard_rows(weights), group), "w_out", n_draws, rng)[0])


def value(found, measure, against="matched") -> Estimate:
    return found[measure, "value", against]


@pytest.mark.calibration
def test_shared_direction_is_found_and_noise_is_not():
    """Hill exponent of 20 of 100 neurons, p < 0.05: with a shared direction in 38 of 40 draws, without in 5."""
    rng = np.random.default_rng(19)
    found, false, members = 0, 0, np.arange(20)
    for _ in range(40):
        weights = rng.normal(size=(100, 32))
        controls = drawn(rng, 20, np.arange(20, 100), 60)
        false += value(measured(weights, members, controls), "hill", "random").p_value < 0.05
        weights[members] += 1.5 * rng.normal(size=32)
        found += value(measured(weights, members, controls), "hill", "random").p_value < 0.05
    assert found >= 38
    assert false <= 5


@pytest.mark.oracle
def test_estimates_equal_those_of_a_loop_over_controls_and_draws(rng):
    """Hill's value, null, p, difference, ratio and interval, one correlation matrix at a time: within 1e-10."""
    weights, members = rng.normal(size=(60, 40)) + rng.normal(size=40), np.arange(30)
    controls, redrawn = drawn(rng, 30, np.arange(60), 25), drawn(rng, 30, np.arange(60), 40)
    found = measured(weights, members, controls, redrawn)

    def hill(group):
        return transcribed_hill(np.linalg.eigvalsh(np.corrcoef(weights[group]))[::-1])

    own, null, draws = hill(members), np.array([hill(g) for g in controls]), np.array([hill(g) for g in redrawn])
    estimate = value(found, "hill")
    assert estimate.value == pytest.approx(own, abs=1e-10)
    assert estimate.p_value == (np.sum(null <= own) + 1) / 26
    assert estimate.null_mean == pytest.approx(null.mean(), abs=1e-10)
    assert (estimate.null_low, estimate.null_high) == pytest.approx(percentile_interval(null), abs=1e-10)
    assert estimate.null_n == 25
    half = stats.t.ppf(0.975, 39) * np.log(draws).std(ddof=1)
    ends = np.array([own * np.exp(-half), own * np.exp(half)])
    assert (estimate.ci_low, estimate.ci_high) == pytest.approx(ends, abs=1e-10)
    for name, beside in (("difference", lambda x: x - null.mean()), ("ratio", lambda x: x / null.mean())):
        compared = found["hill", name, "matched"]
        assert compared.value == pytest.approx(beside(own), abs=1e-10)
        assert (compared.ci_low, compared.ci_high) == pytest.approx(beside(ends), abs=1e-10)
    assert ("hill", "difference", "random") not in found
    assert ("stable_rank", "ratio", "matched") not in found


def test_draws_are_those_behind_the_intervals_and_other_sizes_are_left_out(rng):
    rows, members = standard_rows(rng.normal(size=(60, 40))), np.arange(20)
    redrawn = [*drawn(rng, 20, np.arange(60), 30), np.arange(19)]
    group = ControlledGroup(members, {"matched": drawn(rng, 20, np.arange(60), 12)}, redrawn)
    found, by_name = (named(each) for each in spectrum_estimates(group_spectra(rows, group), "w_in", 10, rng))
    of_values = {(measure, "value", "") for measure in spectrum_measures(np.ones((1, 20)), 40)}
    assert set(by_name) == of_values | {key for key in found if key[1] != "value"}
    for (measure, quantity, against), draws in by_name.items():
        assert len(draws.values) == 30
        assert draws.part == "w_in"
        if (measure, quantity) != ("tail_exponent", "value"):  # its interval is over eigenvalues
            estimate = found[measure, quantity, against or "matched"]
            assert estimate.ci_low <= estimate.value <= estimate.ci_high
            if UNITS[measure] != "exponent":
                assert (estimate.ci_low, estimate.ci_high) == pytest.approx(percentile_interval(draws.values))
                assert draws.values.mean() == pytest.approx(estimate.value)
            elif quantity == "value":  # exponents are moved on the logarithmic scale
                assert np.exp(np.log(draws.values).mean()) == pytest.approx(estimate.value)


def test_every_missing_number_has_its_reason(rng):
    weights = rng.normal(size=(60, 12))
    controls = drawn(rng, 20, np.arange(20, 60), 12)
    larger = measured(weights, np.arange(20), controls)  # more neurons than dimensions
    for estimate in (value(larger, "tail_exponent"), value(larger, "tail_fit", "")):
        assert np.isnan(estimate.value)
        assert estimate.reason == "the correlations of 20 neurons have rank 11: the tail reaches zero"
    for name in ("hill", "stable_rank", "entropy", "spikes", "mp_distance"):
        assert np.isfinite(value(larger, name).value)
        assert value(larger, name).reason == ""
    weights[3] = 1.0
    constant = measured(weights, np.arange(10), drawn(rng, 10, np.arange(10, 60), 12))
    assert {e.reason for e in constant.values()} == {"1 of 10 neurons have constant weights"}
    assert all(np.isnan([e.value, e.null_mean, e.p_value]).all() for e in constant.values())
    pair = measured(weights, np.arange(10, 12), np.empty((0, 2), dtype=int))
    assert value(pair, "hill").reason == "2 neurons, at least 3 are needed"
    small = measured(weights, np.arange(10, 15), drawn(rng, 5, np.arange(20, 60), 12))
    assert value(small, "tail_exponent").reason == "5 neurons, at least 8 are needed"
    assert value(small, "hill_stable").reason == "5 neurons, at least 12 are needed"
    assert np.isfinite(value(small, "hill").value)
    alone = measured(weights, np.arange(10, 15), np.empty((0, 5), dtype=int))
    assert value(alone, "hill").reason == "no matched controls: too few other neurons"
    assert np.isfinite(value(alone, "hill").value)


def test_rank_two_weights_have_no_tail_and_constant_controls_leave_the_null(rng):
    weights = rng.normal(size=(40, 2)) @ rng.normal(size=(2, 50))
    found = measured(weights, np.arange(20), drawn(rng, 20, np.arange(20, 40), 5))
    assert np.isnan(value(found, "tail_exponent").value)
    assert value(found, "tail_exponent").reason.startswith("the correlations of 20 neurons have rank 2")
    assert value(found, "stable_rank").value < 0.2
    weights = rng.normal(size=(60, 50))
    weights[59] = 0.0
    controls = np.vstack([drawn(rng, 20, np.arange(20, 59), 9), np.arange(40, 60)])
    assert value(measured(weights, np.arange(20), controls), "hill").null_n == 9


def test_equal_weights_have_one_spike_and_no_tail(rng):
    weights = np.tile(rng.normal(size=30), (20, 1))
    found = measured(weights, np.arange(15), drawn(rng, 15, np.arange(20), 3))
    assert value(found, "spikes").value == 1
    assert np.isnan(value(found, "hill").value)


def test_hill_plot_marks_the_paper_s_k_and_the_stable_region(rng):
    weights, members = rng.normal(size=(80, 60)) + rng.normal(size=60), np.arange(33)
    controls = drawn(rng, 33, np.arange(80), 15)
    group = ControlledGroup(members, {"matched": controls}, list(drawn(rng, 33, 80, 15)))
    spectra = group_spectra(standard_rows(weights), group)
    plot = hill_plot_frame(spectra)
    assert plot["k"].tolist() == list(range(1, 17))
    assert plot.loc[plot["paper_k"], "k"].tolist() == [3]
    own = hill_exponent(spectra.own[None])[0]
    assert plot.loc[plot["paper_k"], "exponent"].iloc[0] == own
    null = hill_exponent(spectra.controls["matched"])
    assert plot.loc[plot["paper_k"], "matched_mean"].iloc[0] == pytest.approx(null.mean())
    low, high = percentile_interval(null)
    assert plot.loc[2, ["matched_low", "matched_high"]].tolist() == pytest.approx([low, high])
    stable = spectrum_measures(spectra.own[None], 60)["hill_stable"][0]
    assert plot.loc[plot["stable"], "exponent"].mean() == pytest.approx(stable)
    assert plot["stable"].sum() == 5
    assert (plot["ci_low"] <= plot["ci_high"]).all()


def test_all_groups_and_matrices_are_there_and_small_groups_said(rng):
    weights = {"output_weight": rng.normal(size=(50, 30)), "input/w_in": rng.normal(size=(50, 30))}
    evidence = Evidence(CheckpointName("m", "step8"), ("rare", "common"), last_layer=weights)
    controls = {kind: drawn(rng, 14, np.arange(20, 50), 12) for kind in KINDS}
    none = {kind: np.empty((0, 2), dtype=int) for kind in KINDS}
    groups = {
        "plateau": ControlledGroup(np.arange(14), controls, [np.arange(14)] * 12),
        "suppress_plateau": ControlledGroup(np.arange(14, 16), none, [np.arange(14, 16)] * 12),
    }
    found = spectra_estimates(evidence, groups, SpectraSettings(10), rng)
    table, plots = found.table, found.products["hill"]
    assert set(table["group"]) == set(groups)
    assert set(table["condition"]) == {"rare"}
    assert set(table["part"]) == {"w_out", "w_in"}
    small = table[table["group"] == "suppress_plateau"]
    assert (small["reason"] == "2 neurons, at least 3 are needed").all()
    assert set(zip(plots["group"], plots["matrix"], strict=True)) == {("plateau", "w_out"), ("plateau", "w_in")}
    assert set(plots["checkpoint"]) == {"step8"}
    assert set(found.draws["group"]) == {"plateau"}
    nothing = spectra_estimates(evidence, {}, SpectraSettings(10), rng)
    assert nothing.products["hill"].columns.tolist() == ["model", "checkpoint", "step", "group", "matrix"]
    assert len(nothing.table) == len(nothing.draws) == 0


def test_only_tests_against_controls_are_adjusted(rng):
    weights = {"output_weight": rng.normal(size=(60, 40)) + rng.normal(size=40)}
    controls = {kind: drawn(rng, 20, np.arange(60), 12) for kind in KINDS}
    evidence = Evidence(CheckpointName("m", "step8"), ("rare", "common"), last_layer=weights)
    groups = {"plateau": ControlledGroup(np.arange(20), controls)}
    table = spectra_estimates(evidence, groups, SpectraSettings(10), rng).table
    fit = rows_of(table, "tail_fit", "w_out").iloc[0]
    assert 0 < fit["p_value"] <= 1
    assert np.isnan(fit["q_value"])
    assert (rows_of(table, "hill", "w_out")["q_value"] >= rows_of(table, "hill", "w_out")["p_value"]).all()


def test_neuron_weights_are_named():
    arrays = {"output_weight": np.ones((2, 3)), "input/w_in": np.zeros((2, 3)), "unembedding": np.ones((5, 3))}
    assert set(neuron_weights(arrays)) == {"w_out", "w_in"}


def test_paper_table_has_controls_and_trends_beside_the_last_checkpoint():
    def table(step, shift):
        estimates = []
        for kind, p, mean in (("random", 0.2, 2.0), ("matched", 0.04, 3.0)):
            of = {"part": "w_out", "against": kind, "null_mean": mean}
            estimates.append(Estimate("hill", 1.0 + shift, "exponent", 33, 0.9, 1.1, p, **of))
            estimates.append(Estimate("hill", 9.0, "exponent", 20, quantity="difference", **of))
        estimates.append(Estimate("tail_fit", 0.1, "distance", 33, part="w_out", p_value=0.3))
        return frame_of_tests(CheckpointName("m", f"step{step}"), [("rare", "plateau", each) for each in estimates])

    dynamics = measure_frame(
        CheckpointName("m", "all"),
        [
            (
                "rare",
                "plateau",
                Estimate("hill", trend, "Spearman correlation", 10, trend - 0.1, trend + 0.1, 0.01, **of),
            )
            for quantity, trend, kind in (
                ("difference_trend", 0.3, "matched"),
                ("ratio_trend", -0.6, "matched"),
                ("ratio_change", 5.0, "matched"),
                ("trend", 0.9, ""),
                ("ratio_trend", 0.8, "random"),
            )
            for of in ({"part": "w_out", "quantity": quantity, "against": kind},)
        ],
    )
    found = paper_table(pd.concat([table(2, 5.0), table(16, 0.0)]), dynamics)
    assert len(found) == 1
    row = found.iloc[0]
    assert (row["measure"], row["part"], row["value"], row["ci_low"], row["n"]) == ("hill", "w_out", 1.0, 0.9, 33)
    assert (row["random_mean"], row["random_p"], row["matched_mean"], row["matched_p"]) == (2.0, 0.2, 3.0, 0.04)
    assert (row["trend"], row["trend_ci_low"], row["trend_p"]) == (-0.6, -0.7, 0.01)
    assert (row["checkpoints"], row["trend_of"]) == (10, "ratio")
    difference = paper_table(table(16, 0.0), dynamics[dynamics["quantity"] != "ratio_trend"]).iloc[0]
    assert (difference["trend"], difference["trend_of"]) == (0.3, "difference")
    assert np.isnan(paper_table(table(16, 0.0), dynamics.iloc[:0])["trend"]).all()


def test_eigenvalues_of_groups_come_largest_first(rng):
    found = correlation_eigenvalues(standard_rows(rng.normal(size=(20, 30))), np.arange(20).reshape(2, 10))
    assert (np.diff(found, axis=1) <= 0).all()
    np.testing.assert_allclose(found.sum(1), 10)
