"""The fitted rise: its width where checkpoints show it, an open interval where they do not."""

import numpy as np
import pytest
from scipy import optimize, stats

from rareneurons.dynamics.rise import LEAST_CHECKPOINTS, fitted_rise, rise_at

STEPS = np.array([0, *2 ** np.arange(14)])


def drawn(values: np.ndarray, noise: float, rng: np.random.Generator, n: int = 200) -> np.ndarray:
    return values + noise * rng.normal(size=(n, len(values)))


@pytest.mark.parametrize("width", [0.3, 1.0, 4.0])
@pytest.mark.parametrize("height", [1.0, -0.2])
def test_a_rise_or_fall_without_noise_is_found_as_planted(width, height, rng):
    values = rise_at(STEPS, 0.5, height, np.log(100), width)
    found = fitted_rise(STEPS, values, drawn(values, 1e-4, rng), rng)
    assert found.width == pytest.approx(width, rel=0.02)
    assert (found.base, found.height) == pytest.approx((0.5, height), abs=0.01)
    assert found.centre == pytest.approx(np.log(100), abs=0.02)
    assert found.width_interval[0] <= width * 1.01
    assert found.width_interval[1] >= width * 0.99


def test_the_width_is_that_of_the_middle_half():
    quarters = rise_at(np.expm1([5 - 0.35, 5 + 0.35]), 0, 1, 5, 0.7)
    assert quarters == pytest.approx([0.25, 0.75])


@pytest.mark.oracle
def test_curve_and_interval_are_those_of_a_general_optimiser(rng):
    """Width to 1 % of the optimiser's; at both ends its sum of squares exceeds the least one by what 95 % asks for."""
    noise = np.linspace(0.02, 0.08, len(STEPS))
    values = rise_at(STEPS, 0, 1, 5, 1.2) + noise * rng.normal(size=len(STEPS))
    draws = values + noise * rng.normal(size=(400, len(STEPS)))
    found = fitted_rise(STEPS, values, draws, rng)
    error = (draws - draws.mean(1, keepdims=True)).std(0)
    assert found.scatter == 0

    def least(width=None):
        def residual(p):
            return (rise_at(STEPS, *p[:3], np.exp(p[3]) if width is None else width) - values) / error

        fits = [optimize.least_squares(residual, [0, 1, centre, 0.0]) for centre in (4, 5, 6)]
        return min(fits, key=lambda fit: fit.cost)

    best = least()
    assert found.width == pytest.approx(np.exp(best.x[3]), rel=0.01)
    assert found.centre == pytest.approx(best.x[2], abs=0.02)
    for end in found.width_interval:
        assert 0.97 * stats.chi2.ppf(0.95, 1) <= 2 * (least(end).cost - best.cost) <= 1.4 * stats.chi2.ppf(0.95, 1)


def test_where_no_checkpoint_sees_the_rise_the_interval_is_open(rng):
    steps = np.array([0, 4000, 14000, 24000, 34000, 44000, 54000, 64000])
    values = (steps > 0).astype(float)
    found = fitted_rise(steps, values, drawn(values, 0.01, rng), rng)
    assert found.width_interval[0] == 0
    assert found.width_interval[1] > 1.5
    assert found.centre_interval[0] < np.log(100)
    assert found.centre_interval[1] > np.log(3000)


def test_what_documents_do_not_explain_is_scatter_and_widens_the_interval(rng):
    values = rise_at(STEPS, 0, 1, 5, 1.5)
    scattered = values + 0.1 * np.random.default_rng(2).normal(size=len(STEPS))
    smooth, rough = (fitted_rise(STEPS, each, drawn(each, 0.01, rng), rng) for each in (values, scattered))
    assert smooth.scatter < 0.005
    assert 0.05 < rough.scatter < 0.2
    assert np.ptp(rough.width_interval) > 4 * np.ptp(smooth.width_interval)


def test_there_and_back_again_is_no_rise_of_known_width(rng):
    values = np.exp(-0.5 * (np.log1p(STEPS) - 5) ** 2) + 0.1 * (STEPS > 1000)
    found = fitted_rise(STEPS, values, drawn(values, 0.01, rng), rng)
    assert found.width_interval[0] == 0
    assert found.width_interval[1] > 3


def test_too_little_to_fit(rng):
    few = np.arange(LEAST_CHECKPOINTS - 1)
    assert fitted_rise(few, few.astype(float), drawn(few, 0.1, rng), rng) is None
    values = np.zeros(len(STEPS))
    assert fitted_rise(STEPS, values, drawn(values, 0.1, rng), rng) is None
    values = STEPS.astype(float)
    assert fitted_rise(STEPS, values, np.full((50, len(STEPS)), np.nan), rng) is None
    draws = drawn(values, 1, rng)
    draws[3, 4] = np.nan
    assert np.isfinite(fitted_rise(STEPS, values, draws, rng).width_interval).all()


@pytest.mark.calibration
@pytest.mark.parametrize(("documents", "scatter"), [(0.04, 0.0), (0.01, 0.04)])
def test_intervals_hold_the_planted_width_and_centre_in_95_of_100(documents, scatter):
    """150 courses each; errors of documents grow with step and are correlated by a half, as when they are the same."""
    rng, held = np.random.default_rng(71), []
    error = documents * np.linspace(0.5, 1.5, len(STEPS))

    def of_documents(n):
        return error * np.sqrt(0.5) * (rng.normal(size=(n, 1)) + rng.normal(size=(n, len(STEPS))))

    for _ in range(150):
        centre, width = rng.uniform(3, 8), np.exp(rng.uniform(np.log(0.3), np.log(2)))
        values = rise_at(STEPS, 0, 1, centre, width) + of_documents(1)[0] + scatter * rng.normal(size=len(STEPS))
        found = fitted_rise(STEPS, values, values + of_documents(100), rng)
        ends = (found.width_interval, width), (found.centre_interval, centre)
        held.append([low <= true <= high for (low, high), true in ends])
    assert ((np.mean(held, axis=0) >= 0.92) & (np.mean(held, axis=0) <= 0.98)).all()
