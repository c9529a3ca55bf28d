"""Dimension and correlation, with planted truth."""

import numpy as np
import pytest

from rareneurons.coordination import correlation_measures, group_coordination
from rareneurons.stats import correlation_matrix


def estimates(activation, members, controls, rng, n_documents=40):
    document = np.repeat(np.arange(n_documents), len(activation) // n_documents)
    found = group_coordination(activation, document, members, controls, 30, rng)
    return {e.measure: e for e in found}


def test_known_dimensions(rng):
    low = rng.normal(size=(500, 3)) @ rng.normal(size=(3, 30))
    measures = correlation_measures(correlation_matrix(low))
    assert measures["effective_dimension"] <= 3 / 30
    independent = correlation_measures(np.eye(20))
    assert independent["effective_dimension"] == 19 / 20  # 19 of 20 equal components hold 95 %
    assert independent["participation_ratio"] == pytest.approx(1)
    assert independent["mean_correlation"] == 0


def test_constant_neuron_gives_no_number(rng):
    values = rng.normal(size=(50, 4))
    values[:, 2] = 1
    assert np.isnan(list(correlation_measures(correlation_matrix(values)).values())).all()


@pytest.mark.calibration
def test_planted_group_is_found_and_noise_is_not():
    rng = np.random.default_rng(11)
    found, false = 0, 0
    for _ in range(40):
        activation = rng.normal(size=(400, 120))
        controls = [rng.choice(np.arange(20, 120), 20, replace=False) for _ in range(60)]
        members = np.arange(20)
        false += estimates(activation, members, controls, rng)["effective_dimension"].p_value < 0.05
        activation[:, members] += 2 * rng.normal(size=(400, 4)) @ rng.normal(size=(4, 20))
        found += estimates(activation, members, controls, rng)["effective_dimension"].p_value < 0.05
    assert found >= 38
    assert false <= 5


def test_estimates_carry_interval_and_null(rng):
    activation = rng.normal(size=(200, 50))
    controls = [rng.choice(50, 10, replace=False) for _ in range(40)]
    found = estimates(activation, np.arange(10), controls, rng)
    assert found["participation_ratio"].ci_low <= found["participation_ratio"].ci_high
    assert found["participation_ratio.null_mean"].n == 40
    assert found["effective_dimension"].n == 200
