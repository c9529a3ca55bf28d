"""Hill exponents with planted tails; WeightWatcher by hand."""

import contextlib
import io
import logging

import numpy as np
import pytest
import torch

from rareneurons.spectra import (
    correlation_eigenvalues,
    group_spectrum,
    hill_exponent,
    marchenko_pastur_distance,
    neuron_weights,
    power_law_tail,
    spectrum_measures,
    stable_hill,
    tail_goodness,
    tail_interval,
    weightwatcher_table,
)


def transcribed_hill(eigenvalues: np.ndarray) -> float:
    """The authors' formula, written out: k = min(max(1, int(0.1 n)), n - 1), no "+1"."""
    n = len(eigenvalues)
    k = min(max(1, int(0.1 * n)), n - 1)
    total = 0.0
    for i in range(k):
        total += np.log(eigenvalues[i] / eigenvalues[k])
    return 1 / (total / k)


@pytest.mark.oracle
@pytest.mark.parametrize("n", [2, 10, 35, 100])
def test_hill_equals_the_transcribed_formula(rng, n):
    eigenvalues = np.sort(rng.pareto(2, n) + 1)[::-1]
    assert hill_exponent(eigenvalues) == pytest.approx(transcribed_hill(eigenvalues))


@pytest.mark.calibration
def test_hill_recovers_a_planted_tail():
    rng = np.random.default_rng(17)
    for exponent in (1.5, 3.0):
        found = [hill_exponent(np.sort(rng.pareto(exponent, 2000) + 1)[::-1]) for _ in range(50)]
        assert np.mean(found) == pytest.approx(exponent, rel=0.05)


def test_hill_of_degenerate_spectra_is_unknown():
    assert np.isnan(hill_exponent(np.array([1.0])))
    assert np.isnan(hill_exponent(np.ones(20)))
    assert np.isnan(hill_exponent(np.array([3.0, 0.0, 0.0])))
    assert np.isnan(hill_exponent(np.array([np.nan, 1.0])))


@pytest.mark.oracle
def test_eigenvalues_are_those_of_the_correlation_matrix(rng):
    weights = rng.normal(size=(12, 40))
    found = correlation_eigenvalues(weights)
    np.testing.assert_allclose(found, np.linalg.eigvalsh(np.corrcoef(weights))[::-1], atol=1e-10)
    assert found.sum() == pytest.approx(12)
    weights[3] = 2.0
    assert np.isnan(correlation_eigenvalues(weights)).all()


@pytest.mark.calibration
def test_shared_direction_is_found_and_noise_is_not():
    rng = np.random.default_rng(19)
    found, false = 0, 0
    members = np.arange(20)

    def p_value(weights, controls):
        estimates = group_spectrum({"w_out": weights}, members, {"random": controls}, 10, rng)
        return {e.measure: e.p_value for e in estimates}["hill.w_out.random"]

    for _ in range(40):
        weights = rng.normal(size=(100, 32))
        controls = [rng.choice(np.arange(20, 100), 20, replace=False) for _ in range(60)]
        false += p_value(weights, controls) < 0.05
        weights[members] += 1.5 * rng.normal(size=32)
        found += p_value(weights, controls) < 0.05
    assert found >= 38
    assert false <= 5


def pareto(exponent: float, n: int, rng: np.random.Generator) -> np.ndarray:
    """Draws with density ``x^-exponent`` above 1, largest first."""
    return -np.sort(-(rng.random(n) ** (-1 / (exponent - 1))))


@pytest.mark.calibration
@pytest.mark.parametrize("exponent", [1.5, 2.5, 4.0])
def test_tail_exponents_are_recovered_within_their_intervals(exponent):
    rng = np.random.default_rng(23)
    inside = 0
    for _ in range(200):
        draw = pareto(exponent, 60, rng)
        low, high = tail_interval(draw, 100, rng)
        inside += low <= exponent <= high
    assert inside >= 180


@pytest.mark.oracle
def test_tail_fit_equals_a_search_by_hand(rng):
    spectra = np.stack([pareto(2.5, 30, rng), -np.sort(-rng.random(30))])
    alpha, size, distance = power_law_tail(spectra)
    for row, values in enumerate(spectra):
        best = (np.inf, 0, 0.0)
        for k in range(8, 31):
            tail = values[:k]
            exponent = 1 + (k - 1) / np.log(tail / tail[-1]).sum()
            survival = (tail / tail[-1]) ** (1 - exponent)
            gap = max(max(abs(s - (i + 1) / k), abs(s - i / k)) for i, s in enumerate(survival))
            best = min(best, (gap, k, exponent))
        assert (distance[row], size[row], alpha[row]) == pytest.approx(best)


@pytest.mark.calibration
def test_goodness_accepts_power_laws_and_refuses_others():
    rng = np.random.default_rng(29)
    accepted = [tail_goodness(pareto(2.5, 100, rng), 60, rng) > 0.1 for _ in range(40)]
    assert np.mean(accepted) >= 0.75
    clumps = -np.sort(-np.concatenate([100 + rng.random(7), 10 + 0.1 * rng.random(30), 1 + 0.01 * rng.random(23)]))
    assert tail_goodness(clumps, 60, rng) < 0.05


@pytest.mark.calibration
@pytest.mark.parametrize(("n", "width"), [(35, 128), (33, 512), (100, 512), (60, 40)])
def test_gaussian_weights_are_consistent_with_random(n, width):
    rng = np.random.default_rng(31)
    beyond = [
        spectrum_measures(correlation_eigenvalues(rng.normal(size=(n, width)))[None], width)["spikes"][0] > 0
        for _ in range(200)
    ]
    assert np.mean(beyond) <= 0.05
    weights = rng.normal(size=(n, width)) + 1.5 * np.sqrt(n / width) * rng.normal(size=width)
    assert spectrum_measures(correlation_eigenvalues(weights)[None], width)["spikes"][0] >= 1


@pytest.mark.oracle
@pytest.mark.parametrize(("n", "width"), [(200, 800), (300, 150)])
def test_large_random_spectra_follow_marchenko_pastur_and_shifted_ones_do_not(rng, n, width):
    eigenvalues = correlation_eigenvalues(rng.normal(size=(n, width)))[None]
    assert marchenko_pastur_distance(eigenvalues, width)[0] < 0.03
    assert marchenko_pastur_distance(eigenvalues * 1.5, width)[0] > 0.09


def test_stable_hill_of_a_power_law_and_of_too_few_values(rng):
    spectra = np.stack([pareto(3.0, 400, rng) for _ in range(30)])
    assert np.median(stable_hill(spectra)) == pytest.approx(2.0, rel=0.1)  # Hill's exponent lacks the density's "+1"
    assert np.isnan(stable_hill(np.ones((1, 8)))).all()


def test_degenerate_groups_are_said_and_the_rest_is_measured(rng):
    weights = rng.normal(size=(40, 12))
    larger = spectrum_measures(correlation_eigenvalues(weights[:20])[None], 12)  # more neurons than dimensions
    assert np.isnan(larger["tail_exponent"][0])
    assert np.isfinite(larger["stable_rank"][0])
    weights[3] = 1.0
    constant = spectrum_measures(correlation_eigenvalues(weights[:10])[None], 12)
    assert all(np.isnan(values[0]) for values in constant.values())
    nothing = {e.measure: e for e in group_spectrum({"w_out": weights}, np.arange(10), {"matched": []}, 10, rng)}
    assert np.isnan(nothing["hill.w_out.matched"].value)


def test_stable_rank_and_entropy_of_known_spectra():
    flat = spectrum_measures(np.ones((1, 16)), 64)
    assert flat["stable_rank"][0] == pytest.approx(1)
    assert flat["entropy"][0] == pytest.approx(1)
    one = np.full((1, 16), 1e-9)
    one[0, 0] = 16
    assert spectrum_measures(one, 64)["stable_rank"][0] == pytest.approx(1 / 16)
    assert spectrum_measures(one, 64)["entropy"][0] < 1e-6


def test_neuron_weights_are_named():
    arrays = {"output_weight": np.ones((2, 3)), "input/w_in": np.zeros((2, 3)), "unembedding": np.ones((5, 3))}
    assert set(neuron_weights(arrays)) == {"w_out", "w_in"}


@pytest.mark.oracle
def test_weightwatcher_table_is_what_weightwatcher_says(rng):
    matrices = {
        "block.0.mlp.weight": rng.normal(size=(64, 48)).astype(np.float32),
        "block.1.mlp.weight": (rng.pareto(2, size=(80, 64)) * rng.choice([-1, 1], (80, 64))).astype(np.float32),
        "tiny.weight": rng.normal(size=(5, 64)).astype(np.float32),
    }
    root = logging.getLogger()
    before = root.level, list(root.handlers)
    table = weightwatcher_table(matrices).set_index("matrix")
    assert (root.level, list(root.handlers)) == before
    import weightwatcher

    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        state = {name: torch.from_numpy(matrix) for name, matrix in matrices.items()}
        by_hand = weightwatcher.WeightWatcher(model=state).analyze().set_index("longname")
    for name in list(matrices)[:2]:
        for column in ("alpha", "log_alpha_norm", "stable_rank", "num_pl_spikes"):
            assert table.loc[name, column] == by_hand.loc[name.removesuffix(".weight"), column]
    assert table.loc["tiny.weight", "status"] == "not analysed"
    assert np.isnan(table.loc["tiny.weight", "alpha"])
    assert (table.loc["tiny.weight", "rows"], table.loc["tiny.weight", "columns"]) == (5, 64)
