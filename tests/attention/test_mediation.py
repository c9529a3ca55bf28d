"""Mediated losses and shares, and totals too small for a share."""

import numpy as np
import pytest

from rareneurons.attention.mediation import mediated_estimates


def by_measure(*arguments):
    return {estimate.measure: estimate for estimate in mediated_estimates(*arguments)}


def test_share_is_what_the_total_loses_when_the_group_is_held(rng):
    total = 2 + 0.1 * rng.normal(size=500)
    held = 0.25 * total + 0.01 * rng.normal(size=500)
    found = by_measure(2.0, total, 0.5, held, np.array([1.8, 1.6]), 90)
    loss, share = found["mediated_loss"], found["mediated_share"]
    assert (loss.value, share.value) == pytest.approx((1.5, 0.75))
    np.testing.assert_allclose([loss.ci_low, loss.ci_high], np.quantile(total - held, [0.025, 0.975]))
    np.testing.assert_allclose([share.ci_low, share.ci_high], np.quantile(1 - held / total, [0.025, 0.975]))
    assert (loss.n, loss.unit) == (90, "nats")
    null = share.null_mean, share.null_low, share.null_high, share.null_n
    assert null == pytest.approx((0.15, 0.1, 0.2, 2))
    assert loss.null_mean == pytest.approx(0.3)
    assert {each.key for each in found.values()} == {
        (name, "mean", "value", "matched") for name in ("mediated_loss", "mediated_share")
    }


@pytest.mark.parametrize("sign", [1, -1])
def test_a_negative_total_has_a_share_too(sign, rng):
    total = sign * (1 + 0.1 * rng.normal(size=100))
    share = by_measure(sign * 1.0, total, sign * 0.5, 0.5 * total, np.array([]), 90)["mediated_share"]
    assert (share.value, share.ci_low, share.ci_high) == pytest.approx((0.5, 0.5, 0.5))


def test_a_total_that_may_be_nothing_has_no_share(rng):
    total = 0.01 + 0.1 * rng.normal(size=100)
    found = by_measure(0.01, total, 0.5, total / 2, np.array([0.3]), 90)
    share = found["mediated_share"]
    assert np.isnan([share.value, share.null_mean]).all()
    assert share.null_n == 0
    assert "cannot be distinguished from 0" in share.reason
    assert found["mediated_loss"].value == pytest.approx(-0.49)
    unknown = by_measure(1.0, np.full(5, np.nan), 0.5, np.full(5, np.nan), np.array([]), 90)
    assert np.isnan(unknown["mediated_share"].value)
