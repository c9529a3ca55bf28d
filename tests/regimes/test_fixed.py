"""The authors' fixed cuts and piecewise form, and that the latter cannot say no."""

import numpy as np
import pytest
from shapes import SAMPLED, broken_line

from rareneurons.regimes import fixed
from rareneurons.regimes.curve import RankCurve


def curve_from(ln_influence: np.ndarray) -> RankCurve:
    n = len(ln_influence)
    return RankCurve(np.arange(n), np.log(np.arange(1, n + 1)), ln_influence)


X = np.log(np.arange(1, 2001))


def test_fixed_cuts_describe_a_planted_curve():
    described = fixed.fixed_cuts(curve_from(broken_line(X)), (3.5, 5.5))
    assert described["plateau_exponent"] == pytest.approx(0, abs=1e-9)
    assert described["power_law_exponent"] == pytest.approx(0.5)
    assert described["decay_exponent"] == pytest.approx(2)
    # The power law extended back rises 0.5 a unit of ln rank above the flat head.
    assert described["height_over_power_law"] == pytest.approx(-0.5 * 3.5 / 2, abs=0.01)
    straight = fixed.fixed_cuts(curve_from(-5 - 0.7 * X), (3.5, 5.5))
    assert straight["height_over_power_law"] == pytest.approx(0, abs=1e-9)


def test_short_stretches_have_no_exponent():
    described = fixed.fixed_cuts(curve_from(-np.arange(10.0)), (3.5, 5.5))
    assert np.isnan(described["power_law_exponent"])
    assert np.isnan(fixed.piecewise(curve_from(-np.arange(10.0)))["plateau_end"])


def test_piecewise_form_recovers_a_curve_of_its_own_kind():
    n = 2000
    decay = np.log(np.log(n + 0.5) - X)
    y = np.where(X < 3.5, -5 - 0.05 * X, -3.5 - 0.5 * X)
    start = int(np.exp(6))
    y[start:] = y[start] + 1.5 * (decay[start:] - decay[start])
    found = fixed.piecewise(curve_from(y))
    assert found["plateau_end"] == pytest.approx(3.5, abs=0.2)
    assert found["decay_start"] == pytest.approx(6, abs=0.4)
    assert found["power_law_exponent"] == pytest.approx(0.5, abs=0.05)


def test_piecewise_form_finds_three_regimes_in_noise(rng):
    """Their fit has no null: half-normal noise gets a head, a power law and a decay too."""
    noise = -np.sort(-np.log(SAMPLED["half_normal"](600, rng)))
    found = fixed.piecewise(curve_from(noise))
    shares = [found[f"{regime}_share"] for regime in ("plateau", "power_law", "decay")]
    assert min(shares) > 0.005
    assert sum(shares) == pytest.approx(1)
    assert found["plateau_exponent"] < 0.5 * found["power_law_exponent"]
