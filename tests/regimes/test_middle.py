"""The middle of the curve: a power law has no drift, a log-normal has; a decay is steeper than what comes before."""

import numpy as np
import pytest
from shapes import SAMPLED, kinked, measured

from rareneurons.regimes.local_exponent import candidates_for, describe_fits
from rareneurons.regimes.middle import decay_steepness, exponent_drift, middle_cells


def middle_of(curve: np.ndarray) -> tuple[float, float]:
    found = candidates_for(curve)
    exponents = found.cells.local_exponents(curve)[None]
    inside = middle_cells(found.cells, describe_fits(found, exponents)[0])
    return (
        float(exponent_drift(found.cells, exponents, inside)[0]),
        float(decay_steepness(found.cells, exponents, inside)[0]),
    )


@pytest.mark.calibration
def test_drift_is_none_for_a_power_law_and_one_for_a_log_normal(rng):
    """Means of 60 draws of 10,000 neurons, to within 0.2."""
    means = {
        shape: np.nanmean([middle_of(measured(SAMPLED[shape](10_000, rng), rng)) for _ in range(60)], axis=0)
        for shape in ("power_law", "log_normal")
    }
    assert means["power_law"][0] == pytest.approx(0, abs=0.2)
    assert means["log_normal"][0] == pytest.approx(1, abs=0.2)
    assert means["power_law"][1] == pytest.approx(1, abs=0.1)


def test_the_kinked_power_law_has_a_decay_that_is_four_times_as_steep(rng):
    steepness = [middle_of(measured(kinked(2000, rng), rng))[1] for _ in range(10)]
    known = np.isfinite(steepness)
    assert known.mean() >= 0.7, "otherwise all before the kink passes for a plateau, and no middle is left"
    assert np.mean(np.asarray(steepness)[known]) == pytest.approx(4, abs=0.8)


def test_a_middle_of_few_cells_is_not_described(rng):
    found = candidates_for(measured(SAMPLED["power_law"](400, rng), rng))
    few = np.zeros(len(found.base.root), dtype=bool)
    few[5:8] = True
    exponents = np.ones((2, len(found.cells.count)))
    assert np.isnan(exponent_drift(found.cells, exponents, few)).all()
    assert np.isnan(decay_steepness(found.cells, exponents, few)).all()
