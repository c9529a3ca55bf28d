"""What a movement and a trend would take."""

import pandas as pd
import pytest

from rareneurons.claims.interval import Interval
from rareneurons.claims.over_training import more_checkpoints, times_to_follow_step, times_to_tell_movement
from rareneurons.claims.requirements import MoreCheckpoints, MorePermutations, OppositeTrend, times_as_many
from rareneurons.claims.sentences import requirement


def number(value: float, half: float, **more: float) -> pd.Series:
    return pd.Series({"value": value, "ci_low": value - half, "ci_high": value + half, **more})


def test_movement_is_told_in_its_own_direction():
    expected = times_as_many(0.02, 0.098 / 1.959964, above=0, below=0.1)
    assert times_to_tell_movement(Interval.of(number(0.02, 0.098)), 1, 0.1) == pytest.approx(expected)
    assert times_to_tell_movement(Interval.of(number(-0.02, 0.098)), -1, 0.1) == pytest.approx(expected)
    assert times_to_tell_movement(Interval.of(number(0.02, 0.098)), -1, 0.1) != pytest.approx(expected)


def test_a_trend_needs_documents_where_its_interval_holds_zero():
    assert times_to_follow_step(number(-0.6, 0.3), -1) == 1
    assert times_to_follow_step(number(-0.6, 0.8), -1) > 1
    assert times_to_follow_step(number(0.6, 0.3), -1) > 1


def test_a_trend_needs_more_checkpoints_than_there_are():
    clear = number(0.95, 0.02, p_value=0.03)
    assert list(more_checkpoints(clear, 1, 0.025, 999, 10)) == [MoreCheckpoints(11, 10)]
    assert list(more_checkpoints(clear, 1, 0.05, 999, 10)) == []
    assert list(more_checkpoints(clear, -1, 0.025, 999, 10)) == [OppositeTrend(0.95)]
    assert requirement(OppositeTrend(0.95)) == "a trend in the other direction (rank correlation 0.95 here)"
    few = list(more_checkpoints(None, 1, 0.025, 30, 2))
    assert few == [MoreCheckpoints(5, 2), MorePermutations(39, 30)]
    assert requirement(few[0]) == "5 checkpoints with a known step (2 here)"
