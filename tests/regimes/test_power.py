"""Power: high where a plateau would show, low where not, and equal to the share that the whole test finds."""

from dataclasses import replace

import numpy as np
import pytest
from shapes import RELATIVE_ERROR, SAMPLED, measured

from rareneurons.regimes import plateau, power
from rareneurons.regimes.local_exponent import candidates_for, fit_curve
from rareneurons.regimes.plateau import PlateauBounds

BOUNDS = PlateauBounds(alpha=0.05, flatness=0.5, excess=1.5, overlap=0.5)


def curve_of(n: int, rng: np.random.Generator, shape: str = "power_law", error: float = RELATIVE_ERROR):
    errors = np.full(n, error)
    return power.MeasuredCurve(measured(SAMPLED[shape](n, rng), rng), errors, errors)


def test_power_is_high_where_a_plateau_would_show_and_low_where_not():
    rng = np.random.default_rng(5)
    wide, narrow = curve_of(2000, rng), curve_of(150, rng)
    for reading in ("flat", "excess"):
        assert power.planted_runs(wide, None, (reading, 33), BOUNDS, 20, rng).share_found() >= 0.8
        assert power.planted_runs(narrow, None, (reading, 33), BOUNDS, 20, rng).share_found() <= 0.3
    assert power.planted_runs(curve_of(80, rng), None, ("flat", 5), BOUNDS, 20, rng) is None
    assert power.planted_runs(narrow, None, ("flat", 75), BOUNDS, 20, rng) is None, "half of the layer"


def test_every_condition_of_the_rule_takes_power_away():
    rng = np.random.default_rng(6)
    curve = curve_of(1000, rng)

    def share(reading, **bounds):
        return power.planted_runs(curve, None, (reading, 33), replace(BOUNDS, **bounds), 20, rng).share_found()

    assert share("excess") >= 0.8
    assert share("excess", excess=4) == share("excess", overlap=1.1) == 0
    assert share("flat") >= 0.8
    assert share("flat", flatness=0.01) == share("flat", overlap=1.1) == 0


@pytest.mark.oracle
def test_power_is_the_share_that_the_whole_test_finds():
    """60 planted curves, each tested by itself against null curves of its own: the same share to within 0.2."""
    rng = np.random.default_rng(8)
    curve = curve_of(600, rng, "log_normal")
    for reading, size in (("flat", 20), ("excess", 10)):
        fast = power.planted_runs(curve, None, (reading, size), BOUNDS, 60, rng).share_found()
        found = []
        drawn = plateau.curves_without_plateau(
            candidates_for(curve.ln_influence), curve.ln_influence, np.zeros(600), 60, rng
        )
        for truth in drawn:
            top = truth[:size]
            truth[:size] = truth[size - 1] if reading == "flat" else top + np.log(2)
            once, again = (truth + np.log(np.abs(1 + curve.error * rng.normal(size=600))) for _ in range(2))
            order, chosen = np.argsort(-once), np.argsort(-again)
            test = plateau.departure_test(once[order], curve.error, 39, rng)
            kept = plateau.share_kept(chosen[: plateau.plateau_size(fit_curve(again[chosen]))], order)
            found.append(plateau.declared_reading(test, kept, BOUNDS) is not None)
        assert 0.1 < fast < 0.99
        assert fast == pytest.approx(np.mean(found), abs=0.2)


def test_a_plateau_on_one_condition_alone_is_a_difference_and_the_contrast_itself_is_none():
    rng = np.random.default_rng(9)
    first, second = curve_of(2000, rng), curve_of(2000, rng, "log_normal")
    for reading, margin in (("flat", -0.25), ("excess", 0.2)):
        runs = power.planted_runs(first, second, (reading, 33), BOUNDS, 20, rng)
        assert runs.share_different(margin) >= 0.8
        assert runs.share_different(-margin) == 0
        assert runs.share_different(10 * margin) == 0


def test_more_documents_shrink_the_errors_and_more_neurons_keep_the_shape():
    rng = np.random.default_rng(10)
    curve = curve_of(300, rng)
    np.testing.assert_allclose(curve.with_documents(4).error, curve.error / 2)
    np.testing.assert_allclose(curve.with_documents(4).discovery_error, curve.discovery_error / 2)
    wide = curve.in_a_wider_layer(3)
    assert len(wide.ln_influence) == len(wide.error) == len(wide.discovery_error) == 900


@pytest.mark.calibration
def test_power_simulated_for_a_wider_layer_is_that_of_a_wider_layer():
    """260 neurons of two distributions and layers four times as wide, 40 planted plateaus each: within 0.25."""
    rng = np.random.default_rng(7)
    for shape in ("log_normal", "power_law"):
        small, wide = (curve_of(n, rng, shape) for n in (260, 1040))
        plateau_of = "flat", 26
        simulated = power.planted_runs(small.in_a_wider_layer(4), None, plateau_of, BOUNDS, 40, rng).share_found()
        real = power.planted_runs(wide, None, plateau_of, BOUNDS, 40, rng).share_found()
        assert power.planted_runs(small, None, plateau_of, BOUNDS, 40, rng).share_found() < simulated
        assert simulated == pytest.approx(real, abs=0.25)
