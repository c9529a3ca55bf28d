"""What a run would need: by simulation of the need supplied."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from rareneurons.claims.needs import (
    CHANCE,
    Sample,
    checkpoints_for_trend,
    group_of,
    more_documents,
    more_neurons,
    more_permutations,
    rounded,
    standard_error,
    times_as_many,
)
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

    def interval(n: int) -> pd.Series:
        values = truth + rng.normal(size=n)
        half = 1.96 * values.std() / np.sqrt(n)
        return pd.Series({"value": values.mean(), "ci_low": values.mean() - half, "ci_high": values.mean() + half})

    def is_decided(found: pd.Series) -> bool:
        return bool(found["ci_high"] < margin or found["ci_low"] > margin)

    decided = []
    while len(decided) < 300:
        found = interval(40)
        if is_decided(found):
            continue
        times = times_as_many(found["value"], standard_error(found), above=margin, below=margin)
        decided.append(is_decided(interval(int(40 * times))))
    assert np.mean(decided) >= 0.7
    if abs(truth - margin) > 0.1:
        assert np.mean([is_decided(interval(40)) for _ in range(300)]) < 0.6, "what is asked for must be needed"


@pytest.mark.calibration
def test_neurons_that_are_asked_for_differ():
    """Mean of n neurons 0.45 below that of controls of unit scatter: p <= 0.05 in at least 70 %."""
    rng = np.random.default_rng(9)

    def tested(n: int) -> tuple[float, pd.Series, pd.Series]:
        group, controls = -0.45 + rng.normal() / np.sqrt(n), rng.normal(size=199) / np.sqrt(n)
        p = (np.sum(controls <= group) + 1) / 200
        low, high = np.quantile(controls, [0.025, 0.975])
        null = pd.Series({"value": controls.mean(), "ci_low": low, "ci_high": high, "n": 199})
        return group - controls.mean(), null, pd.Series({"p_value": p, "q_value": p})

    found = []
    while len(found) < 200:
        effect, null, numbers = tested(8)
        if numbers["q_value"] <= 0.05 or effect >= 0:
            continue
        needed = more_neurons(effect, null, numbers, 0.05, 8)
        n = int(needed.removeprefix("a group of ").split(" ")[0].replace(",", "")) if needed else 8000
        found.append(tested(n)[2]["p_value"] <= 0.05)
    assert np.mean(found) >= 0.7


def test_too_few_controls_are_asked_for_first_and_more_for_two_sides():
    null = pd.Series({"value": 1.0, "ci_low": 0.8, "ci_high": 1.2, "n": 19})
    tested = pd.Series({"p_value": 0.05, "q_value": 0.1})
    assert more_neurons(-0.3, null, tested, 0.05, 10) == "39 control groups (`groups.controls`; 19 here)"
    assert more_neurons(-0.3, null, tested, 0.05, 10, sides=2) == "79 control groups (`groups.controls`; 19 here)"
    null["n"] = 39
    assert more_neurons(-0.3, null, tested, 0.05, 10).startswith("a group of ")
    assert more_neurons(-0.01, null, tested, 0.05, 10) == ""
    null["n"] = 199
    assert more_neurons(-0.3, null, tested, 0.05, 100) == "a group of 120 neurons (100 here)"
    assert more_neurons(-0.3, null, tested, 0.05, 100, sides=2) == "a group of 150 neurons (100 here)"


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
    assert [rounded(number) for number in (1.2, 9.1, 12, 12.3, 123, 4960, 10000)] == [
        *("2", "10", "12", "13", "130", "5,000", "10,000")
    ]
    assert more_documents(2.55, Sample("documents", 800)) == "2.5 times as many documents (2,100 rows instead of 800)"
    assert more_documents(3.0, Sample("documents")) == "3.0 times as many documents"
    assert "more than 1,000 times" in more_documents(np.inf, Sample("documents"))
    assert "ten bootstrap draws" in more_documents(np.nan, Sample("documents"))
    assert group_of(2, 33) == "a group of 66 neurons (33 here)"
    assert "more than 1,000 times" in group_of(2000, 33)
    assert list(more_permutations(0.01, 99)) == []
    assert list(more_permutations(0.01, 50)) == ["99 permutations (`dynamics.permutations`; 50 here)"]
