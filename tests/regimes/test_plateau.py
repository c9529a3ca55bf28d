"""The plateau test: yes to planted plateaus, no to curves without one."""

import numpy as np
import pytest
from shapes import RELATIVE_ERROR, SAMPLED, kinked, measured, planted

from rareneurons.regimes import plateau
from rareneurons.regimes.local_exponent import candidates_for

BOUNDS = {"alpha": 0.01, "flatness": 0.5, "least_overlap": 0.5}
N, DRAWS, NULL_CURVES = 2000, 200, 99


def declared(draws: list[np.ndarray], rng: np.random.Generator) -> tuple[float, list[float]]:
    """Share of curves in which a plateau is declared (heads replicate), and the plateau ends of those."""
    ends = []
    for curve in draws:
        test = plateau.departure_test(curve, np.full(len(curve), RELATIVE_ERROR), NULL_CURVES, rng)
        if plateau.plateau_rule(test, 1.0, **BOUNDS):
            ends.append(test.fit.plateau_end)
    return len(ends) / len(draws), ends


@pytest.mark.calibration
@pytest.mark.parametrize("shape", [*SAMPLED, "kinked_power_law"])
def test_curves_without_a_plateau_get_one_in_at_most_5_percent(shape):
    rng = np.random.default_rng(11)
    sample = SAMPLED.get(shape, kinked)
    share, _ = declared([measured(sample(N, rng), rng) for _ in range(DRAWS)], rng)
    assert share <= 0.05


@pytest.mark.calibration
@pytest.mark.parametrize("cut_off", ["kink", "smooth"])
def test_a_planted_plateau_is_found_and_its_end_is_right(cut_off):
    rng = np.random.default_rng(12)
    curve = np.exp(planted(N, cut_off))
    share, ends = declared([measured(curve, rng) for _ in range(DRAWS)], rng)
    assert share >= 0.9
    assert np.mean(np.abs(np.asarray(ends) / np.log(33) - 1) <= 0.2) >= 0.9


@pytest.mark.calibration
def test_p_values_are_not_too_small_on_small_layers():
    """250 neurons, as the demo's models have; p is at most alpha in about alpha of the draws."""
    rng = np.random.default_rng(13)
    p = [
        plateau.departure_test(measured(sample(250, rng), rng), np.full(250, RELATIVE_ERROR), NULL_CURVES, rng).flat_p
        for sample in SAMPLED.values()
        for _ in range(100)
    ]
    assert np.mean(np.asarray(p) <= 0.05) <= 0.09
    assert np.mean(np.asarray(p) <= 0.01) <= 0.03


def test_a_steep_head_is_no_plateau(rng):
    x = np.log(np.arange(1, N + 1))
    steep = measured(np.exp(-5 - 0.3 * x + 1.0 * np.clip(np.log(33) - x, 0, None)), rng)
    test = plateau.departure_test(steep, np.full(N, RELATIVE_ERROR), NULL_CURVES, rng)
    assert test.steep_p <= 0.02
    assert test.flat_p > 0.2
    assert not plateau.plateau_rule(test, 1.0, **BOUNDS)


def test_each_condition_of_the_rule_can_refuse(rng):
    test = plateau.departure_test(measured(np.exp(planted(N, "kink")), rng), np.full(N, RELATIVE_ERROR), 199, rng)
    assert plateau.plateau_rule(test, 0.8, **BOUNDS)
    assert not plateau.plateau_rule(test, 0.4, **BOUNDS)
    assert not plateau.plateau_rule(test, 0.8, **{**BOUNDS, "flatness": 0.01})
    assert not plateau.plateau_rule(test, 0.8, **{**BOUNDS, "alpha": test.flat_p / 2})


def test_null_curves_are_order_statistics_of_the_fitted_curve():
    """Sampled from a power law of known exponent, the simulated heads vary as its order statistics do."""
    rng = np.random.default_rng(3)
    n, exponent = 1000, 0.5
    y = -exponent * np.log((np.arange(1, n + 1) - 0.5) / n)
    curves = plateau.curves_without_plateau(candidates_for(y), y, np.zeros(n), 4000, rng)
    fall = curves[:, 0] - curves[:, 50]
    # ln y_1 - ln y_51 of a power law: exponent times a sum of independent Exp(1) / r (Renyi 1953).
    rank = np.arange(1, 51)
    assert fall.mean() == pytest.approx(exponent * (1 / rank).sum(), rel=0.1)
    assert fall.std() == pytest.approx(exponent * np.sqrt((1 / rank**2).sum()), rel=0.1)
    assert (np.diff(curves, axis=1) <= 0).all()


def test_errors_widen_the_null_curves(rng):
    y = -0.05 * np.log(np.arange(1, 501))
    found = candidates_for(y)
    still = plateau.curves_without_plateau(found, y, np.zeros(500), 50, rng)
    shaken = plateau.curves_without_plateau(found, y, np.full(500, 0.3), 50, rng)
    assert np.ptp(shaken[:, :100], axis=1).mean() > 2 * np.ptp(still[:, :100], axis=1).mean()


def test_band_holds_the_curves_it_is_made_of(rng):
    y = measured(SAMPLED["log_normal"](800, rng), rng)
    ln_rank, low, high = plateau.no_plateau_band(y, np.full(800, RELATIVE_ERROR), 200, rng)
    at = np.round(np.exp(ln_rank)).astype(int) - 1
    assert np.mean((y[at] >= low) & (y[at] <= high)) > 0.9
    flat = planted(2000, "kink")
    ln_rank, low, high = plateau.no_plateau_band(flat, np.full(2000, RELATIVE_ERROR), 200, rng)
    at = np.round(np.exp(ln_rank)).astype(int) - 1
    assert ((flat[at] < low) | (flat[at] > high)).any()


def test_power_is_high_where_a_plateau_would_show_and_low_where_not():
    rng = np.random.default_rng(5)
    power_law = measured(SAMPLED["power_law"](N, rng), rng)
    error = np.full(N, RELATIVE_ERROR)
    assert plateau.power(power_law, error, 33, (0.01, 0.5), (20, 99), rng) >= 0.8
    short = power_law[:150] + 0.0
    assert plateau.power(short, error[:150], 6, (0.01, 0.5), (20, 99), rng) <= 0.5
    assert np.isnan(plateau.power(power_law[:80], error[:80], 5, (0.01, 0.5), (20, 99), rng))


def test_a_wider_layer_has_the_same_shape_by_share_of_its_neurons():
    """Order statistics of a power law and of an exponential, at their expected places."""
    n, times = 400, 3
    for quantile in (lambda u: -0.5 * np.log(u), lambda u: np.log(-np.log(u))):
        small = quantile((np.arange(1, n + 1) - 0.5) / n)
        wide, error = plateau.in_a_wider_layer(small, np.linspace(0.01, 0.4, n), times)
        at = np.arange(3, n // 3)
        fall = wide[times * at] - wide[times * at[0]]
        np.testing.assert_allclose(fall, small[at] - small[at[0]], atol=0.08)
        np.testing.assert_allclose(error[times * at - 1], np.linspace(0.01, 0.4, n)[at - 1])
        assert len(wide) == len(error) == times * n
        assert (np.diff(wide) <= 0).all()


@pytest.mark.calibration
def test_power_simulated_for_a_wider_layer_is_that_of_a_wider_layer():
    """260 neurons of each of two distributions and layers four times as wide, 60 planted plateaus each: within 0.2."""
    rng = np.random.default_rng(7)
    bounds, draws = (0.01, 0.5), (60, 99)
    for name in ("log_normal", "power_law"):
        small, wide = (measured(SAMPLED[name](n, rng), rng) for n in (260, 1040))
        error = np.full(260, RELATIVE_ERROR)
        assert plateau.power(small, error, 26, bounds, draws, rng) < 0.6
        simulated = plateau.power(*plateau.in_a_wider_layer(small, error, 4), 33, bounds, draws, rng)
        assert simulated > 0.6
        assert simulated == pytest.approx(plateau.power(wide, np.resize(error, 1040), 33, bounds, draws, rng), abs=0.2)


def test_share_kept_counts_the_same_number_of_first_neurons():
    assert plateau.share_kept(np.array([4, 7, 9]), np.array([9, 1, 4, 7])) == pytest.approx(2 / 3)
    assert np.isnan(plateau.share_kept(np.array([], dtype=int), np.arange(3)))
