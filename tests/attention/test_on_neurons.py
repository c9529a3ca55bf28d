"""Which heads route, and the largest routing; averages over neurons that vary."""

import numpy as np
import pytest

from rareneurons.attention.head_estimates import HeadEstimate
from rareneurons.attention.on_neurons import averages, readout_weights, routes, routing_summary
from rareneurons.groups import ControlledGroup
from rareneurons.tables import Estimate


def pair(value=0.2, q=0.01, low=0.05, p=0.01, routing=0.1, high=0.3):
    plain = Estimate("selectivity", value, "sd", 90, value - 0.1, value + 0.1, q / 2, part="mean", q_value=q)
    more = Estimate("routing", routing, "sd", 90, low, high, p, part="mean", against="matched")
    return tuple(HeadEstimate("rare-common", "plateau", 0, 1, each) for each in (plain, more))


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
    assert routes(*pair(**given), 0.05) is expected


def test_largest_routing_bounds_all_heads():
    pairs = [pair(), pair(routing=0.3, low=0.2, high=0.4, p=0.5), pair(routing=-0.1, high=0.9, value=-0.2)]
    plain, more = zip(*pairs, strict=True)
    selective, routing, largest = routing_summary("mean", plain, more, 0.05)
    assert (selective.key, selective.value, selective.n) == (("selective_heads", "mean", "value", ""), 2, 3)
    assert (routing.key, routing.value, routing.n) == (("routing_heads", "mean", "value", ""), 1, 3)
    assert largest.key == ("largest_routing", "mean", "value", "matched")
    assert (largest.value, largest.ci_low) == (0.3, 0.2)
    assert (largest.ci_high, largest.p_value, largest.n, largest.reason) == (0.9, 0.01, 90, "")


def test_unknown_routing_has_a_reason():
    for n_heads, said in ((2, "2 heads reach the last MLP"), (3, "no matched controls")):
        plain, more = zip(*[pair(routing=np.nan, low=np.nan, high=np.nan, p=np.nan)] * n_heads, strict=True)
        *_, largest = routing_summary("mean", plain, more, 0.05)
        assert np.isnan(largest.value)
        assert said in largest.reason


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
