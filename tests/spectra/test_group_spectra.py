"""Spectra of groups against controls, with whom other documents would choose, and what cannot be told."""

import numpy as np
import pandas as pd
import pytest
from test_tails import transcribed_hill

from rareneurons.spectra.group import (
    checkpoint_spectra,
    group_spectra,
    hill_plot_frame,
    neuron_weights,
    spectrum_estimates,
)
from rareneurons.spectra.measures import correlation_eigenvalues, spectrum_measures, standard_rows
from rareneurons.spectra.paper_table import paper_table
from rareneurons.spectra.tails import hill_exponent
from rareneurons.stats import frame_of_tests, percentile_interval
from rareneurons.tables import CheckpointName, Estimate

KINDS = ("random", "matched")


def drawn(rng, n, candidates, n_groups) -> np.ndarray:
    return np.array([rng.permutation(candidates)[:n] for _ in range(n_groups)]).reshape(-1, n)


def measured(weights, members, controls, redrawn=(), n_draws=10, rng=None) -> dict[str, Estimate]:
    rng = np.random.default_rng(0) if rng is None else rng
    spectra = group_spectra(standard_rows(weights), members, dict.fromkeys(KINDS, controls), list(redrawn))
    found, _ = spectrum_estimates(spectra, "w_out", n_draws, rng)
    assert len({e.measure for e in found}) == len(found)
    return {e.measure: e for e in found}


@pytest.mark.calibration
def test_shared_direction_is_found_and_noise_is_not():
    """Hill exponent of 20 of 100 neurons, p < 0.05: with a shared direction in 38 of 40 draws, without in 5."""
    rng = np.random.default_rng(19)
    found, false, members = 0, 0, np.arange(20)
    for _ in range(40):
        weights = rng.normal(size=(100, 32))
        controls = drawn(rng, 20, np.arange(20, 100), 60)
        false += measured(weights, members, controls)["hill.w_out.random"].p_value < 0.05
        weights[members] += 1.5 * rng.normal(size=32)
        found += measured(weights, members, controls)["hill.w_out.random"].p_value < 0.05
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

    value, null, draws = hill(members), np.array([hill(g) for g in controls]), np.array([hill(g) for g in redrawn])
    estimate = found["hill.w_out.matched"]
    assert estimate.value == pytest.approx(value, abs=1e-10)
    assert estimate.p_value == (np.sum(null <= value) + 1) / 26
    assert found["hill.w_out.matched.null_mean"].value == pytest.approx(null.mean(), abs=1e-10)
    moved = draws - draws.mean() + value
    assert (estimate.ci_low, estimate.ci_high) == pytest.approx(percentile_interval(moved), abs=1e-10)
    for name, beside in (("difference", lambda x: x - null.mean()), ("ratio", lambda x: x / null.mean())):
        compared = found[f"hill.w_out.matched.{name}"]
        assert compared.value == pytest.approx(beside(value), abs=1e-10)
        assert (compared.ci_low, compared.ci_high) == pytest.approx(percentile_interval(beside(moved)), abs=1e-10)
    assert "hill.w_out.random.difference" not in found
    assert "stable_rank.w_out.matched.ratio" not in found


def test_draws_are_those_behind_the_intervals_and_other_sizes_are_left_out(rng):
    rows, members = standard_rows(rng.normal(size=(60, 40))), np.arange(20)
    redrawn = [*drawn(rng, 20, np.arange(60), 30), np.arange(19)]
    spectra = group_spectra(rows, members, {"matched": drawn(rng, 20, np.arange(60), 12)}, redrawn)
    found, draws = spectrum_estimates(spectra, "w_in", 10, rng)
    estimates = {e.measure: e for e in found}
    assert set(draws) == {
        f"{name}.w_in.matched{end}"
        for name in spectrum_measures(np.ones((1, 20)), 40)
        for end in ("", ".difference", ".ratio")
        if f"{name}.w_in.matched{end}" in estimates
    }
    for name, values in draws.items():
        assert len(values) == 30
        if name != "tail_exponent.w_in.matched":  # its interval is over eigenvalues
            ends = estimates[name].ci_low, estimates[name].ci_high
            assert ends == pytest.approx(percentile_interval(values))
            assert values.mean() == pytest.approx(estimates[name].value)


def test_every_missing_number_has_its_reason(rng):
    weights = rng.normal(size=(60, 12))
    controls = drawn(rng, 20, np.arange(20, 60), 12)
    larger = measured(weights, np.arange(20), controls)  # more neurons than dimensions
    for name in ("tail_exponent.w_out.matched", "tail_fit.w_out"):
        assert np.isnan(larger[name].value)
        assert larger[name].reason == "the correlations of 20 neurons have rank 11: the tail reaches zero"
    for name in ("hill", "stable_rank", "entropy", "spikes", "mp_distance"):
        assert np.isfinite(larger[f"{name}.w_out.matched"].value)
        assert larger[f"{name}.w_out.matched"].reason == ""
    weights[3] = 1.0
    constant = measured(weights, np.arange(10), drawn(rng, 10, np.arange(10, 60), 12))
    assert {e.reason for e in constant.values() if "null_mean" not in e.measure} == {
        "1 of 10 neurons have constant weights"
    }
    assert all(np.isnan(e.value) for e in constant.values())
    pair = measured(weights, np.arange(10, 12), np.empty((0, 2), dtype=int))
    assert pair["hill.w_out.matched"].reason == "2 neurons, at least 3 are needed"
    small = measured(weights, np.arange(10, 15), drawn(rng, 5, np.arange(20, 60), 12))
    assert small["tail_exponent.w_out.matched"].reason == "5 neurons, at least 8 are needed"
    assert small["hill_stable.w_out.matched"].reason == "5 neurons, at least 12 are needed"
    assert np.isfinite(small["hill.w_out.matched"].value)
    alone = measured(weights, np.arange(10, 15), np.empty((0, 5), dtype=int))
    assert alone["hill.w_out.matched"].reason == "no matched controls: too few other neurons"
    assert np.isfinite(alone["hill.w_out.matched"].value)


def test_rank_two_weights_have_no_tail_and_constant_controls_leave_the_null(rng):
    weights = rng.normal(size=(40, 2)) @ rng.normal(size=(2, 50))
    found = measured(weights, np.arange(20), drawn(rng, 20, np.arange(20, 40), 5))
    assert np.isnan(found["tail_exponent.w_out.matched"].value)
    assert found["tail_exponent.w_out.matched"].reason.startswith("the correlations of 20 neurons have rank 2")
    assert found["stable_rank.w_out.matched"].value < 0.2
    weights = rng.normal(size=(60, 50))
    weights[59] = 0.0
    controls = np.vstack([drawn(rng, 20, np.arange(20, 59), 9), np.arange(40, 60)])
    assert measured(weights, np.arange(20), controls)["hill.w_out.matched.null_mean"].n == 9


def test_equal_weights_have_one_spike_and_no_tail(rng):
    weights = np.tile(rng.normal(size=30), (20, 1))
    found = measured(weights, np.arange(15), drawn(rng, 15, np.arange(20), 3))
    assert found["spikes.w_out.matched"].value == 1
    assert np.isnan(found["hill.w_out.matched"].value)


def test_hill_plot_marks_the_paper_s_k_and_the_stable_region(rng):
    weights, members = rng.normal(size=(80, 60)) + rng.normal(size=60), np.arange(33)
    controls = drawn(rng, 33, np.arange(80), 15)
    spectra = group_spectra(standard_rows(weights), members, {"matched": controls}, list(drawn(rng, 33, 80, 15)))
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
    weights = {"w_out": rng.normal(size=(50, 30)), "w_in": rng.normal(size=(50, 30))}
    none = {kind: np.empty((0, 2), dtype=int) for kind in KINDS}
    groups = {
        "plateau": (np.arange(14), {kind: drawn(rng, 14, np.arange(20, 50), 12) for kind in KINDS}),
        "suppress_plateau": (np.arange(14, 16), none),
    }
    redrawn = {name: [members] * 12 for name, (members, _) in groups.items()}
    estimates, draws, plots = checkpoint_spectra(weights, groups, redrawn, 10, rng)
    table = frame_of_tests(CheckpointName("m", "step8"), (("rare", *each) for each in estimates))
    assert set(table["group"]) == set(groups)
    small = table[(table["group"] == "suppress_plateau") & ~table["measure"].str.endswith("null_mean")]
    assert (small["reason"] == "2 neurons, at least 3 are needed").all()
    assert set(zip(plots["group"], plots["matrix"], strict=True)) == {("plateau", "w_out"), ("plateau", "w_in")}
    assert {group for group, _, values in draws if len(values)} == {"plateau"}
    assert checkpoint_spectra(weights, {}, {}, 10, rng)[2].columns.tolist() == ["group", "matrix"]


def test_neuron_weights_are_named():
    arrays = {"output_weight": np.ones((2, 3)), "input/w_in": np.zeros((2, 3)), "unembedding": np.ones((5, 3))}
    assert set(neuron_weights(arrays)) == {"w_out", "w_in"}


def test_paper_table_has_controls_and_trends_beside_the_last_checkpoint():
    def table(step, shift):
        return frame_of_tests(
            CheckpointName("m", f"step{step}"),
            [
                ("rare", "plateau", estimate)
                for kind, p in (("random", 0.2), ("matched", 0.04))
                for estimate in (
                    Estimate(f"hill.w_out.{kind}", 1.0 + shift, "exponent", 33, 0.9, 1.1, p),
                    Estimate(f"hill.w_out.{kind}.null_mean", 2.0 if kind == "random" else 3.0, "exponent", 20),
                    Estimate(f"hill.w_out.{kind}.difference", 9.0, "exponent", 20),
                )
            ],
        )

    dynamics = pd.DataFrame(
        [
            ("m", "rare", "plateau", f"hill.w_out.matched.{of}.trend", value, value - 0.1, value + 0.1, 0.01, 10)
            for of, value in (("difference", 0.3), ("ratio", -0.6))
        ],
        columns=["model", "condition", "group", "measure", "value", "ci_low", "ci_high", "p_value", "n"],
    )
    found = paper_table(pd.concat([table(2, 5.0), table(16, 0.0)]), dynamics)
    assert len(found) == 1
    row = found.iloc[0]
    assert (row["measure"], row["value"], row["ci_low"], row["n"]) == ("hill.w_out", 1.0, 0.9, 33)
    assert (row["random_mean"], row["random_p"], row["matched_mean"], row["matched_p"]) == (2.0, 0.2, 3.0, 0.04)
    assert (row["trend"], row["trend_ci_low"], row["trend_p"]) == (-0.6, -0.7, 0.01)
    assert (row["checkpoints"], row["trend_of"]) == (10, "ratio")
    assert np.isnan(paper_table(table(16, 0.0), dynamics.iloc[:0])["trend"]).all()


def test_eigenvalues_of_groups_come_largest_first(rng):
    found = correlation_eigenvalues(standard_rows(rng.normal(size=(20, 30))), np.arange(20).reshape(2, 10))
    assert (np.diff(found, axis=1) <= 0).all()
    np.testing.assert_allclose(found.sum(1), 10)
