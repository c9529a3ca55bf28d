"""Hill exponents and fitted power laws with planted tails."""

import numpy as np
import pytest
from planted_tails import pareto

from rareneurons.spectra.tails import (
    hill_exponent,
    hill_plot,
    power_law_tail,
    stable_window,
    tail_goodness,
    tail_interval,
    window_width,
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
@pytest.mark.parametrize(("n", "k"), [(2, 1), (10, 1), (30, 3), (35, 3), (50, 5), (100, 10)])
def test_hill_equals_the_transcribed_formula(rng, n, k):
    """To 1e-12, on spectra of random weights and on Pareto draws; k is the one the authors' code arrives at."""
    weights = rng.normal(size=(n, 2 * n))
    for eigenvalues in (pareto(3, n, rng), np.linalg.eigvalsh(np.corrcoef(weights))[::-1]):
        assert hill_exponent(eigenvalues[None])[0] == pytest.approx(transcribed_hill(eigenvalues), rel=1e-12)
        assert hill_exponent(eigenvalues[None])[0] == hill_plot(eigenvalues[None])[0, k - 1]


@pytest.mark.oracle
def test_hill_plot_equals_the_formula_for_every_k(rng):
    spectra = np.stack([pareto(2.5, 20, rng), pareto(4, 20, rng)])
    plot = hill_plot(spectra)
    for row, values in enumerate(spectra):
        for k in range(1, 20):
            assert plot[row, k - 1] == pytest.approx(1 / np.mean(np.log(values[:k] / values[k])))


@pytest.mark.calibration
def test_hill_recovers_a_planted_tail():
    rng = np.random.default_rng(17)
    for exponent in (1.5, 3.0):
        spectra = np.stack([-np.sort(-(rng.pareto(exponent, 2000) + 1)) for _ in range(50)])
        assert np.mean(hill_exponent(spectra)) == pytest.approx(exponent, rel=0.05)


def test_hill_of_degenerate_spectra_is_unknown():
    assert np.isnan(hill_exponent(np.array([[1.0]]))).all()
    assert np.isnan(hill_exponent(np.ones((1, 20)))).all()
    assert np.isnan(hill_exponent(np.array([[3.0, 0.0, 0.0]]))).all()
    assert np.isnan(hill_exponent(np.array([[3.0, 1e-17, 1e-18]]))).all(), "rounding is no tail"
    assert np.isnan(hill_exponent(np.array([[np.nan, 1.0]]))).all()


@pytest.mark.calibration
@pytest.mark.parametrize("exponent", [1.5, 2.5, 4.0])
def test_tail_exponents_are_recovered_within_their_intervals(exponent):
    rng = np.random.default_rng(23)
    inside = 0
    for _ in range(200):
        low, high = tail_interval(pareto(exponent, 60, rng), 100, rng)
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


def test_stable_region_of_a_power_law_and_of_too_few_values(rng):
    spectra = np.stack([pareto(3.0, 400, rng) for _ in range(30)])
    _, mean = stable_window(hill_plot(spectra))
    assert np.median(mean) == pytest.approx(2.0, rel=0.1)  # Hill's exponent lacks the density's "+1"
    first, mean = stable_window(hill_plot(np.ones((1, 8))))
    assert (first[0], np.isnan(mean[0])) == (0, True)


@pytest.mark.oracle
def test_stable_region_is_the_flattest_window_by_hand(rng):
    for n in (12, 33, 60):
        plot = hill_plot(pareto(3.0, n, rng)[None])
        first, mean = stable_window(plot)
        width = window_width(n)
        starts = range(2, n // 2 - width + 2)
        windows = {k: plot[0, k - 1 : k - 1 + width] for k in starts}
        best = min(windows, key=lambda k: windows[k].std() / windows[k].mean())
        assert first[0] == best
        assert mean[0] == pytest.approx(windows[best].mean())
        assert max(starts) + width - 1 == n // 2


def test_a_flat_head_leaves_the_stable_region_to_the_rest(rng):
    spectrum = pareto(3.0, 30, rng)
    spectrum[:6] = spectrum[0]
    first, mean = stable_window(hill_plot(spectrum[None]))
    assert first[0] >= 6
    assert np.isfinite(mean[0])
