"""The excess over control groups: its interval holds the planted truth as often as it says, whatever errs."""

import numpy as np
import pytest

from rareneurons.joint.excess import excess_over_controls
from rareneurons.stats import NORMAL_95, document_weights


def planted(rng, truth, between, noise, n_documents, m, shared):
    """Number and draws of a group and of m controls that differ by ``between``, from documents that err by ``noise``.

    A document's error has heavy tails, and the share ``shared`` of its variance is the same for all groups. The group
    is one more control group, but for the ``truth`` that is added.
    """
    error = rng.standard_t(5, size=(n_documents, 1 + m)) / np.sqrt(5 / 3)
    error = np.sqrt(1 - shared) * error + np.sqrt(shared) * rng.gumbel(size=(n_documents, 1)) / (np.pi / np.sqrt(6))
    by_document = between * rng.normal(size=1 + m) + noise * np.sqrt(n_documents) * error
    by_document[:, 0] += truth
    value = by_document.mean(0)
    draws = document_weights(n_documents, 100, rng) @ by_document / n_documents
    return excess_over_controls(value[0], draws[:, 0], value[1:], draws[:, 1:], n_documents, rng)


@pytest.mark.calibration
@pytest.mark.parametrize(
    ("between", "noise", "n_documents", "m", "shared"),
    [
        (0.0, 1.0, 30, 10, 0.5),  # nothing but documents
        (1.0, 1.0, 150, 10, 0.9),  # both alike
        (1.0, 0.05, 60, 6, 0.5),  # hardly any but groups
        (0.3, 1.0, 40, 5, 0.0),
        (0.5, 1.0, 100, 100, 0.7),
    ],
)
def test_the_interval_holds_the_truth_in_92_to_98_percent(between, noise, n_documents, m, shared):
    rng = np.random.default_rng([n_documents, m])
    found = [planted(rng, 2.0, between, noise, n_documents, m, shared) for _ in range(800)]
    covered = [each.ci_low <= 2.0 <= each.ci_high for each in found]
    assert 0.92 <= np.mean(covered) <= 0.98
    assert [each.p_value <= 0.05 for each in found] == [each.ci_low >= 0 or each.ci_high <= 0 for each in found]


@pytest.mark.oracle
def test_numbers_equal_their_plain_formulas(rng):
    """Ten documents without scatter leave the groups' spread, to Student's value for 24 degrees of freedom."""
    from scipy.stats import t

    null = rng.normal(size=25)
    found = excess_over_controls(1.0, np.ones(60), null, np.tile(null, (60, 1)), 10, rng)
    error = null.std(ddof=1) * np.sqrt(1 + 1 / 25)
    assert found.value == pytest.approx(1 - null.mean())
    assert found.ci_high - found.value == pytest.approx(t.ppf(0.975, 24) * error)
    assert found.p_value == pytest.approx(2 * t.sf(abs(found.value) / error, 24))
    assert found.draws.std() == pytest.approx(error, rel=0.3)


def test_draws_have_the_spread_of_the_error_about_the_value(rng):
    draws = 3 + rng.normal(size=4000)
    found = excess_over_controls(5.0, draws, np.array([1.0]), np.ones((4000, 1)), 400, rng)
    assert found.draws.mean() == pytest.approx(4.0)
    assert found.draws.std() == pytest.approx((found.ci_high - 4.0) / NORMAL_95, rel=0.01)


def test_an_excess_without_draws_has_no_interval(rng):
    found = excess_over_controls(1.0, np.full(50, np.nan), np.zeros(3), np.zeros((50, 3)), 10, rng)
    assert found.value == 1.0
    assert np.isnan([found.ci_low, found.p_value, *found.draws]).all()
