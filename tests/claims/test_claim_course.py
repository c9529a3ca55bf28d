"""C6 tells gradual, abrupt and absent courses apart."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from claim_tables import BOUNDS, VIEW, dimension_table, frame, tables_for
from courses import JUMP, RISING, STEPS, course_of

from rareneurons.claims import decide

SELECTIVITY = "influence_share", "top", "difference", ""
DIMENSION = "effective_dimension", "", "difference", "matched"


def c6(share, dimension, noise=0.01, rng=None, plateau=(0, 0), steps=STEPS, group="top_33", bounds=BOUNDS) -> pd.Series:
    """C6 for planted courses of the top neurons' share and of the dimension less the matched mean."""
    rng = np.random.default_rng(0) if rng is None else rng
    dynamics = [
        course_of(SELECTIVITY, share, noise, rng, "boost", "rare-common", steps),
        course_of(DIMENSION, dimension, noise, rng, group, "rare", steps),
    ]
    tables = tables_for(["a"], plateau=plateau) | {"dynamics": pd.concat(dynamics)}
    tables["coordination"] = pd.concat([tables["coordination"], dimension_table(group="top_33")])
    return decide(tables, VIEW, bounds).set_index("claim").loc["C6"]


@pytest.mark.parametrize(
    ("share", "dimension", "expected"),
    [
        (0.3 * RISING, 0 * RISING, "supported"),
        (0 * RISING, -0.3 * RISING, "supported"),
        (0.3 * RISING, -0.3 * RISING, "supported"),
        (0.3 * JUMP, 0 * RISING, "contradicted"),
        (0 * RISING, -0.3 * JUMP, "contradicted"),
        (0.3 * RISING, -0.3 * JUMP, "undecided"),
        (0 * RISING, 0 * RISING, "contradicted"),
        (-0.3 * RISING, 0.3 * RISING, "contradicted"),  # the other way round is no emergence
        (0.3 * np.sin(np.pi * RISING), 0 * RISING, "contradicted"),  # there and back again
        (0.02 * RISING, 0 * RISING, "contradicted"),  # less than would matter
    ],
)
def test_specialization_is_gradual_abrupt_or_absent(share, dimension, expected):
    assert c6(share, dimension, noise=0.002)["verdict"] == expected


@pytest.mark.calibration
@pytest.mark.parametrize(
    ("shape", "expected"), [(RISING, "supported"), (JUMP, "contradicted"), (0 * JUMP, "contradicted")]
)
def test_planted_courses_get_their_verdict(shape, expected):
    """20 series each, change 0.3, documents scatter by 0.008: the right verdict in at least 18, the wrong one never."""
    rng = np.random.default_rng(41)
    verdicts = [c6(0.3 * shape, 0 * shape, 0.008, rng)["verdict"] for _ in range(20)]
    assert verdicts.count(expected) >= 18
    assert set(verdicts) <= {expected, "undecided"}


@pytest.mark.calibration
def test_noise_is_hardly_ever_a_course():
    rng = np.random.default_rng(43)
    verdicts = [c6(0 * JUMP, 0 * JUMP, 0.2, rng)["verdict"] for _ in range(30)]
    assert verdicts.count("supported") + verdicts.count("contradicted") <= 3


def test_a_change_that_may_be_relevant_is_not_called_none():
    row = c6(0.055 * RISING, 0 * RISING, 0.003)
    assert row["ci_low"] < BOUNDS.specialization_margin < row["ci_high"]
    assert row["verdict"] == "supported"


def test_four_checkpoints_in_order_are_no_trend():
    """Two orders of 24 are as extreme: p = 0.08 whatever the documents say."""
    row = c6(0.1 * np.arange(4), np.zeros(4), 0.001, steps=STEPS[:4])
    assert (row["verdict"], row["n"]) == ("undecided", 4)
    assert "5 checkpoints with a known step (4 here)" in row["need"]  # 2 / 5! is below 0.025, 2 / 4! is not


def test_half_of_the_change_in_one_step_is_undecided():
    row = c6(0.3 * (0.6 * RISING + 0.4 * JUMP), 0 * RISING, 0.012)
    assert row["verdict"] == "undecided"
    assert "too uncertain to distinguish gradual from abrupt" in row["sentence"]
    assert row["need"].endswith("times as many held-out documents")


def test_a_measure_that_comes_back_is_neither_gradual_nor_abrupt():
    overshoot = 0.1 * RISING + 0.3 * ((STEPS >= 16) & (STEPS < 256))
    row = c6(overshoot, 0 * RISING, 0.002)
    assert row["verdict"] == "undecided"
    assert "between steps 8 and 16 and came back, so neither gradually nor abruptly" in row["sentence"]
    assert row["need"].startswith("checkpoints after the last one")


def test_a_jump_between_distant_checkpoints_is_not_called_abrupt():
    far = np.array([0, 4000, 14000, 24000, 34000, 44000, 54000, 64000, 74000, 143000])
    row = c6(0.3 * (far > 0), 0 * far, 0.002, steps=far)
    assert row["verdict"] == "undecided"
    assert "between steps 0 and 4000, too far apart" in row["sentence"]
    assert row["need"] == "5 more checkpoints between steps 0 and 4000"  # factors of 4: 4001 is between 4^5 and 4^6


def test_course_row_says_change_trend_largest_part_and_plateau():
    row = c6(0.3 * RISING, 0 * RISING, 0.002)
    assert row["statistic"] == "change in training of the top neurons' share of all influence (boost, rare-common)"
    assert row["value"] == pytest.approx(0.3, abs=0.01)
    assert row["ci_low"] < row["value"] < row["ci_high"]
    assert (row["n"], row["bound"], row["need"]) == (10, 0.05, "")
    assert 0 < row["p_value"] <= 0.05
    for part in (
        "Supported for a at step16: the share of all influence",
        "over 10 checkpoints: gradually, at most 11",
        "between",
    ):
        assert part in row["sentence"]
    for part in ("adjusted p = ", "at no checkpoint", "rank correlation with step 1 ("):
        assert part in row["evidence"]
    assert "less than 50 % of the change" in row["rule"]
    row = c6(0 * RISING, -0.3 * JUMP, 0.002)
    assert row["statistic"] == (
        "change in training of the effective dimension minus that of matched groups (top_33, rare)"
    )
    assert row["bound"] == pytest.approx(-0.125 * 0.56)
    assert "over 10 checkpoints: abruptly, 97.1 % of it" in row["sentence"]
    assert "the 33 most influential neurons" in row["sentence"]
    assert "the paper's fixed cut" in row["evidence"]
    with_plateau = c6(0 * RISING, -0.3 * RISING, 0.002, plateau=(1, 0), group="plateau")
    assert with_plateau["verdict"] == "supported"
    assert "(plateau, rare)" in with_plateau["statistic"]
    assert "the 20 plateau neurons" in with_plateau["sentence"]
    assert "fixed cut" not in with_plateau["evidence"]
    neither = c6(0 * RISING, 0 * RISING, 0.002)["sentence"]
    assert neither.count("that would matter") == 2


def test_p_is_that_of_the_trend_times_two_measures():
    rng = np.random.default_rng(5)
    trend = 0.3 * np.array([0, 2, 1, 4, 3, 6, 5, 8, 9, 7]) / 9
    dynamics = course_of(SELECTIVITY, trend, 0.001, rng, "boost", "rare-common")
    row = decide(tables_for(["a"]) | {"dynamics": dynamics}, VIEW, BOUNDS).set_index("claim").loc["C6"]
    p = dynamics.set_index("quantity").loc["difference_trend", "p_value"]
    assert 0 < p < 0.02
    assert row["p_value"] == pytest.approx(2 * p)


@pytest.mark.parametrize(
    ("share", "dimension", "noise", "needed"),
    [
        (0.04 * RISING, 0 * RISING, 0.02, "times as many held-out documents"),  # nothing, or enough to matter
        (0.3 * RISING, -0.3 * JUMP, 0.002, "checkpoints between those where the one measure jumps"),
        (0.3 * np.array([0, 0.9, 0.1, 0.8, 0.2, 0.7, 0.3, 0.75, 0.35, 0.8]), 0 * RISING, 0.002, "came back"),
    ],
)
def test_need_of_a_course(share, dimension, noise, needed):
    row = c6(share, dimension, noise)
    assert row["verdict"] == "undecided"
    assert any(part in row["need"] for part in needed.split("|"))


def test_too_few_permutations_are_said():
    row = c6(0.3 * RISING, 0 * RISING, 0.002, bounds=replace(BOUNDS, alpha=0.009))
    assert row["verdict"] == "undecided"
    assert "222 permutations (`dynamics.permutations`; 200 here)" in row["need"]  # 1 / 0.0045 = 222.2


def test_three_checkpoints_are_too_few_even_where_nothing_changes():
    row = c6(np.zeros(3), np.zeros(3), 0.0001, steps=STEPS[:3])
    assert row["verdict"] == "undecided"
    assert "not known at four checkpoints" in row["sentence"]


def test_course_of_two_checkpoints_is_not_known():
    row = decide(tables_for(["a"]), VIEW, BOUNDS).set_index("claim").loc["C6"]
    assert row["verdict"] == "undecided"
    assert row["evidence"].count("is not known at four checkpoints") == 2
    assert row["n"] == 2
    assert row["need"] == "5 checkpoints with a known step (2 here)"


@pytest.mark.parametrize(("first", "said"), [(64, "passes first at step 64"), (np.nan, "passes at no checkpoint")])
def test_course_row_says_where_the_plateau_test_passes_first(first, said):
    tables = tables_for(["a"])
    tables["dynamics"] = frame("a", 256, "rare", "boost", "plateau", "test", first, quantity="first_step")
    assert said in decide(tables, VIEW, BOUNDS).set_index("claim").loc["C6", "evidence"]
