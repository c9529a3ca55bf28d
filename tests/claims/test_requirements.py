"""What would decide a claim: simulations of runs that have what was asked for."""

import numpy as np
import pytest
from scipy.stats import norm

from rareneurons.claims.interval import Interval
from rareneurons.claims.requirements import (
    CHANCE,
    LargerGroup,
    MoreControls,
    MoreDocuments,
    MorePermutations,
    checkpoints_for_trend,
    more_documents,
    more_neurons,
    more_permutations,
    times_as_many,
)
from rareneurons.claims.sentences import requirement
from rareneurons.stats import spearman_trend


@pytest.mark.oracle
@pytest.mark.parametrize(
    ("value", "error", "bounds"),
    [
        (0.0, 1.0, {"above": 0.5, "below": 0.5}),
        (0.3, 0.2, {"above": 0.0, "below": 0.5}),
        (1.0, 0.7, {"above": 0.0}),
        (-0.2, 0.4, {"below": 0.3, "critical": 2.5}),
    ],
)
def test_that_many_times_the_units_decide_in_as_many_simulated_repeats_as_promised(value, error, bounds):
    """True value from what is known, then a new measurement of it; within 2 % of 80 % over 200,000 repeats."""
    rng = np.random.default_rng(1)
    times = times_as_many(value, error, **bounds)
    assert 1 < times < 1000
    new = error / np.sqrt(times)
    truth = value + error * rng.normal(size=200_000)
    measured = truth + new * rng.normal(size=200_000)
    critical = bounds.get("critical", 1.959964)
    up = measured > bounds.get("above", np.inf) + critical * new
    down = measured < bounds.get("below", -np.inf) - critical * new
    assert np.mean(up | down) == pytest.approx(CHANCE, abs=0.02)


def test_no_number_is_enough_beyond_the_only_bound_and_none_is_known_without_an_error():
    assert np.isinf(times_as_many(0.2, 0.1, below=0.1))
    assert np.isinf(times_as_many(0.2, 0.0, below=0.1)), "no uncertainty that more units could lessen"
    assert np.isnan(times_as_many(0.2, np.nan, below=0.1))
    assert times_as_many(5.0, 0.1, above=0.0) == 1
    assert times_as_many(0.1, 0.1, above=0.1, below=0.1) == pytest.approx((1.96 / norm.ppf(0.6)) ** 2 - 1, rel=0.02)


@pytest.mark.calibration
@pytest.mark.parametrize(("truth", "margin"), [(0.0, 0.25), (0.1, 0.25), (0.45, 0.25)])
def test_documents_that_are_asked_for_decide(truth, margin):
    """40 documents of unit scatter that leave a mean undecided; as many as asked for decide in at least 70 %."""
    rng = np.random.default_rng(7)

    def interval(n: int) -> Interval:
        values = truth + rng.normal(size=n)
        half = 1.96 * values.std() / np.sqrt(n)
        return Interval(values.mean(), values.mean() - half, values.mean() + half)

    def is_decided(found: Interval) -> bool:
        return bool(found.ci_high < margin or found.ci_low > margin)

    decided = []
    while len(decided) < 300:
        found = interval(40)
        if is_decided(found):
            continue
        times = more_documents(found, "heldout", above=margin, below=margin).times
        decided.append(is_decided(interval(int(40 * times))))
    assert np.mean(decided) >= 0.7
    if abs(truth - margin) > 0.1:
        assert np.mean([is_decided(interval(40)) for _ in range(300)]) < 0.6, "what is asked for must be needed"


@pytest.mark.calibration
def test_neurons_that_are_asked_for_differ():
    """Mean of n neurons 0.45 below that of controls of unit scatter: p <= 0.05 in at least 70 %."""
    rng = np.random.default_rng(9)

    def tested(n: int) -> tuple[float, dict[str, float]]:
        group, controls = -0.45 + rng.normal() / np.sqrt(n), rng.normal(size=199) / np.sqrt(n)
        p = (np.sum(controls <= group) + 1) / 200
        low, high = np.quantile(controls, [0.025, 0.975])
        numbers = {"p_value": p, "q_value": p, "null_low": low, "null_high": high, "null_n": 199}
        return group - controls.mean(), numbers

    found = []
    while len(found) < 200:
        effect, numbers = tested(8)
        if numbers["q_value"] <= 0.05 or effect >= 0:
            continue
        needed = more_neurons(effect, numbers, 0.05, 8)
        n = 8000 if needed is None else int(np.ceil(needed.times * needed.size))
        found.append(tested(n)[1]["p_value"] <= 0.05)
    assert np.mean(found) >= 0.7


def test_too_few_controls_are_asked_for_first_and_more_for_two_sides():
    tested = {"p_value": 0.05, "q_value": 0.1, "null_low": 0.8, "null_high": 1.2, "null_n": 19}
    assert more_neurons(-0.3, tested, 0.05, 10) == MoreControls(39, 19)
    assert more_neurons(-0.3, tested, 0.05, 10, sides=2) == MoreControls(79, 19)
    assert isinstance(more_neurons(-0.3, tested | {"null_n": 39}, 0.05, 10), LargerGroup)
    assert more_neurons(-0.01, tested | {"null_n": 39}, 0.05, 10) is None
    enough = tested | {"null_n": 199}
    assert requirement(more_neurons(-0.3, enough, 0.05, 100)) == "a group of 120 neurons (100 here)"
    assert requirement(more_neurons(-0.3, enough, 0.05, 100, sides=2)) == "a group of 150 neurons (100 here)"


@pytest.mark.calibration
@pytest.mark.parametrize("slope", [0.25, 0.5])
def test_checkpoints_that_are_asked_for_follow_step(slope):
    """A rising series in noise, six checkpoints without a clear trend: as many as asked for have p <= 0.025 in 70 %."""
    rng = np.random.default_rng(13)

    def trend(k: int) -> tuple[float, float]:
        x = np.linspace(0, 6, k)
        return spearman_trend(x, slope * x + rng.normal(size=k), 400, rng)

    # The correlation measured is one draw; that of many checkpoints is the one planted.
    rho = np.mean([trend(200)[0] for _ in range(5)])
    k = checkpoints_for_trend(rho, 0.025)
    assert 6 < k < 70
    assert np.mean([trend(k)[1] <= 0.025 for _ in range(200)]) >= 0.7
    assert np.mean([trend(max(4, k // 2))[1] <= 0.025 for _ in range(200)]) < 0.7


def test_least_checkpoints_are_those_of_a_permutation_test():
    assert checkpoints_for_trend(np.nan, 0.05) == 5
    assert checkpoints_for_trend(1.0, 0.09) == 4  # 2 / 4! = 0.083
    assert checkpoints_for_trend(-1.0, 0.001) == 7  # 2 / 7! = 0.0004
    assert checkpoints_for_trend(0.5, 0.05) == 33  # 3 + 1.125 * ((1.96 + 0.842) / 0.549)^2 = 32.3
    assert checkpoints_for_trend(0.9, 0.025) > checkpoints_for_trend(0.95, 0.025)


def test_words():
    sizes = (1.2, 9.1, 12, 12.3, 123)
    assert [requirement(LargerGroup(size, 1)) for size in sizes] == [
        f"a group of {size} neurons (1 here)" for size in ("2", "10", "12", "13", "130")
    ]
    assert requirement(LargerGroup(496, 10)) == "a group of 5,000 neurons (10 here)"
    assert requirement(LargerGroup(1000, 10)) == "a group of 10,000 neurons (10 here)"
    rows = "2.5 times as many held-out documents (2,100 rows instead of 800)"
    assert requirement(MoreDocuments(2.55, "heldout", 800)) == rows
    assert requirement(MoreDocuments(3.0, "discovery")) == "3.0 times as many discovery documents"
    assert requirement(MoreDocuments(np.inf, "heldout")) == (
        "more than 1,000 times as many held-out documents: the estimate is at or beyond the bound"
    )
    assert "ten bootstrap draws" in requirement(MoreDocuments(np.nan, "heldout"))
    assert requirement(LargerGroup(2, 33)) == "a group of 66 neurons (33 here)"
    assert "more than 1,000 times" in requirement(LargerGroup(2000, 33))
    assert requirement(MoreControls(1199, 200)) == "1,199 control groups (`groups.controls`; 200 here)"
    assert list(more_permutations(0.01, 99)) == []
    assert list(more_permutations(0.01, 50)) == [MorePermutations(99, 50)]
    assert requirement(MorePermutations(99, 50)) == "99 permutations (`dynamics.permutations`; 50 here)"


def test_a_requirement_without_words_is_an_error():
    with pytest.raises(TypeError, match="register a function"):
        requirement(object())
