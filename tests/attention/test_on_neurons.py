"""Which heads route, and the largest routing; averages over neurons that vary."""

from dataclasses import replace

import numpy as np
import pytest

from rareneurons.attention.condition_pair import ConditionPair
from rareneurons.attention.head_estimates import HeadEstimate
from rareneurons.attention.on_neurons import (
    GroupEffects,
    Routing,
    averages,
    found_if_planted,
    readout_weights,
    routes,
    routing_of_heads,
    routing_summary,
)
from rareneurons.attention.selectivity import HeadBounds
from rareneurons.groups import ControlledGroup
from rareneurons.stats import document_weights
from rareneurons.tables import Estimate

BOUNDS = HeadBounds(np.zeros(3), np.ones(3), np.full(3, 0.1), 3.0)


def three(value=0.2, q=0.01, low=0.05, p=0.01, share=0.1, high=0.3):
    """Selectivity, routing and share of a head."""
    plain = Estimate("selectivity", value, "sd", 90, value - 0.1, value + 0.1, q / 2, part="mean", q_value=q)
    more = Estimate("routing", 3 * share, "sd", 90, 3 * low, 3 * high, p, part="mean", against="matched")
    part = Estimate("routing_share", share, "share", 90, low, high, p, part="mean", against="matched")
    return tuple(HeadEstimate("rare-common", "plateau", 0, 1, each) for each in (plain, more, part))


def summary(heads):
    return routing_summary("mean", Routing(*map(list, zip(*heads, strict=True)), BOUNDS), 0.05)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, True),
        ({"q": 0.05, "p": 0.05}, True),
        ({"q": 0.051}, False),  # not selective after adjustment
        ({"value": -0.2}, False),  # selective for common rows
        ({"low": -0.01}, False),  # no more than matched groups and other heads explain
        ({"p": 0.051}, False),  # matched groups have such heads too
        ({"q": np.nan}, False),
        ({"p": np.nan}, False),
    ],
)
def test_a_head_routes_if_it_is_selective_and_stands_out(given, expected):
    plain, _, share = three(**given)
    assert routes(plain, share, 0.05) is expected


def test_largest_share_bounds_all_heads():
    heads = [three(p=0.2), three(share=0.3, low=0.2, high=0.4, p=0.5), three(share=-0.1, high=0.9, value=-0.2)]
    selective, routing, largest = summary(heads)
    assert (selective.key, selective.value, selective.n) == (("selective_heads", "mean", "value", ""), 2, 3)
    assert (routing.key, routing.value, routing.n) == (("routing_heads", "mean", "value", ""), 0, 3)
    assert largest.key == ("largest_routing_share", "mean", "value", "matched")
    assert (largest.value, largest.ci_low) == (0.3, 0.2)
    assert (largest.ci_high, largest.p_value, largest.n, largest.reason) == (0.9, 0.01, 90, "")


def test_the_largest_share_is_that_of_a_head_that_routes():
    *_, routing, largest = summary([three(), three(share=0.3, low=0.2, high=0.4, p=0.5)])
    assert routing.value == 1
    assert (largest.value, largest.ci_low, largest.ci_high) == (0.1, 0.05, 0.4)


def test_unknown_routing_has_a_reason():
    for n_heads, said in ((2, "2 heads reach the last MLP"), (3, "no matched controls")):
        *_, largest = summary([three(share=np.nan, low=np.nan, high=np.nan, p=np.nan)] * n_heads)
        assert np.isnan(largest.value)
        assert said in largest.reason


@pytest.fixture
def measured(rng):
    """Six heads of different size on a group and on 99 matched groups, without routing."""
    size = np.array([0.1, 0.2, 0.5, 1, 2, 5])[:, None, None]
    sums = size * rng.gamma(30, 1 / 30, size=(6, 2, 40)) * 10
    null = size * rng.normal(1, 0.05, size=(6, 2, 99))
    heads = [(0, head) for head in range(6)]
    group = GroupEffects(
        "g", "mean", heads, sums, np.repeat(size * 10, 2, 1) + 0 * sums, {"matched": null}, np.arange(6)
    )
    rows = np.full((2, 40), 10)
    return group, ConditionPair(("rare", "common"), rows, document_weights(40, 200, rng))


def test_shares_do_not_depend_on_a_head_s_size(measured):
    group, pair = measured
    routing = routing_of_heads(group, pair)
    smaller = replace(
        group, sums=group.sums / 10, matched=group.matched / 10, null={"matched": group.null["matched"] / 10}
    )
    for one, other in zip(routing.share, routing_of_heads(smaller, pair).share, strict=True):
        assert (one.estimate.value, one.estimate.ci_high) == pytest.approx(
            (other.estimate.value, other.estimate.ci_high)
        )
    for more, share, mean in zip(routing.routing, routing.share, pair.means(group.sums), strict=True):
        assert share.estimate.value == pytest.approx(more.estimate.value / mean[0])


def test_planted_routing_is_found_where_errors_are_small_and_groups_alike(measured, rng):
    group, pair = measured
    bounds = routing_of_heads(group, pair).bounds
    assert (found_if_planted(group, pair, bounds, 0.05) > 0.95).all()
    scattered = replace(group, null={"matched": rng.normal(1, 3, size=(6, 2, 99)) * group.null["matched"]})
    assert (found_if_planted(scattered, pair, bounds, 0.05) == 0).all(), "matched groups differ as much"
    assert (found_if_planted(group, pair, replace(bounds, error=np.full(6, 0.3)), 0.05) < 0.2).all()
    few = replace(group, null={"matched": group.null["matched"][..., :9]})
    assert (found_if_planted(few, pair, bounds, 0.05) == 0).all(), "ten groups give no p of 0.05"


def test_neurons_that_do_not_vary_are_left_out_of_averages():
    varies = np.array([True, False, True, True, False])
    drawn = np.array([[0, 1], [2, 3], [1, 4]])
    expected = np.array([[1, 0, 0, 0, 0], [0, 0, 0.5, 0.5, 0], [np.nan] * 5]).T
    np.testing.assert_allclose(averages(drawn, varies), expected)


def test_readouts_are_the_group_and_the_mean_of_its_matched_groups():
    everything = np.ones(5, dtype=bool)
    controls = {"matched": np.array([[2, 3], [2, 4]]), "random": np.array([[3, 4]])}
    groups = {"g": ControlledGroup(np.array([0, 1]), controls)}
    found = readout_weights(groups, everything)
    np.testing.assert_allclose(found["g"], [0.5, 0.5, 0, 0, 0])
    np.testing.assert_allclose(found["g.matched"], [0, 0, 0.5, 0.25, 0.25])
    without = {"g": ControlledGroup(np.array([0, 1]), controls | {"matched": np.empty((0, 2), dtype=int)})}
    assert np.isnan(readout_weights(without, everything)["g.matched"]).all()
