"""C7 needs heavier tails at the end and growth towards them."""

import numpy as np
import pandas as pd
import pytest
from claim_tables import match_table, row_of, tables_for, tails_table
from courses import RISING, course_of


def c7(matrices, courses, plateau=(0, 0), group="top_33", shuffled=None) -> pd.Series:
    """C7 for spectra rows of each matrix and the courses of their ratios to the controls.

    ``shuffled``: courses that differ against the groups of shuffled labels.
    """
    rng = np.random.default_rng(0)
    tables = tables_for(["a"], plateau=plateau)
    tables["spectra"] = pd.concat([tails_table(matrix=name, group=group, **given) for name, given in matrices.items()])
    tables["dynamics"] = pd.concat(
        course_of(("hill", name, "ratio", kind), values, 0.002, rng, group)
        for kind, mine in (("matched", courses), ("shuffled", courses | (shuffled or {})))
        for name, values in mine.items()
    )
    return row_of("C7", tables)


RATIO = "hill", "w_out", "ratio", "matched"
FALLING = 1 - 0.3 * RISING
NONE = {"value": 1.0, "gap": (-0.05, 0.05), "q": 0.6, "null": (1.0, 0.95, 1.05)}


@pytest.mark.parametrize(
    ("matrix", "course", "expected"),
    [
        ({}, FALLING, "supported"),
        ({}, 1 + 0 * RISING, "contradicted"),  # heavier, but no more than before training
        ({}, 2 - FALLING, "contradicted"),
        ({"q": 0.06}, FALLING, "undecided"),
        ({"value": 1.4, "gap": (0.2, 0.5)}, FALLING, "undecided"),  # a reduction could not have been seen
        (NONE, FALLING, "contradicted"),
        (NONE | {"null": (1.0, 0.7, 1.3)}, FALLING, "undecided"),
        (NONE | {"gap": (-0.2, 0.05)}, FALLING, "undecided"),
        ({"value": np.nan, "gap": (np.nan, np.nan), "q": np.nan}, FALLING, "undecided"),
    ],
)
def test_heavier_tails_increasingly(matrix, course, expected):
    assert c7({"w_out": matrix}, {"w_out": course})["verdict"] == expected


def test_either_matrix_may_decide_for_and_only_both_against():
    both = {"w_out": FALLING, "w_in": FALLING}
    found = c7({"w_out": {"q": 0.6}, "w_in": {}}, both)
    assert found["verdict"] == "supported"
    assert found["statistic"] == "Hill exponent of w_in relative to matched groups (top_33, rare)"
    assert c7({"w_out": NONE, "w_in": {}}, both)["verdict"] == "undecided"
    assert c7({"w_out": NONE, "w_in": {"q": 0.6}}, both)["verdict"] == "undecided"
    assert c7({"w_out": NONE, "w_in": NONE}, both)["verdict"] == "contradicted"


def test_p_is_that_of_the_matrix_that_supports_the_claim_best_whichever_comes_first():
    clear, barely = {"q": 0.004}, {"q": 0.02}
    both = {"w_out": FALLING, "w_in": FALLING}
    first, last = (
        c7(matrices, both) for matrices in ({"w_out": barely, "w_in": clear}, {"w_in": clear, "w_out": barely})
    )
    assert first["verdict"] == last["verdict"] == "supported"
    assert first["p_value"] == last["p_value"] < 0.02
    assert "of w_in" in first["statistic"]


def test_a_ratio_that_rises_is_no_evidence_that_it_falls():
    """Its p counts among those of the model's other claims."""
    assert c7({"w_out": {}}, {"w_out": FALLING})["p_value"] <= 0.05
    assert c7({"w_out": {}}, {"w_out": 2 - FALLING})["p_value"] == 1


def test_tails_that_shuffled_labels_choose_too_are_reported_as_theirs():
    level = c7({"w_out": {"shuffled": {"q": 0.4}}}, {"w_out": FALLING})
    growth = c7({"w_out": {}}, {"w_out": FALLING}, shuffled={"w_out": 1 + 0 * RISING})
    for row in (level, growth):
        assert row["verdict"] == "undecided"
        assert row["p_value"] > 0.05
        assert "but so are those of neurons chosen with shuffled labels" in row["sentence"]


def test_controls_that_do_not_match_decide_nothing_about_tails():
    for matrix, course in (({}, FALLING), (NONE, FALLING)):
        tables = tables_for(["a"]) | {"group_match": match_table(["a"], 0.5)}
        tables["spectra"] = tails_table(**matrix)
        rng = np.random.default_rng(0)
        numbers = (("hill", "w_out", "ratio", kind) for kind in ("matched", "shuffled"))
        tables["dynamics"] = pd.concat(course_of(number, course, 0.002, rng) for number in numbers)
        row = row_of("C7", tables)
        assert row["verdict"] == "undecided"
        assert "-0.5 standard deviations in ln variance of activations" in row["sentence"]


def test_p_of_the_trend_is_shared_by_the_matrices():
    """Rank correlation 0.66 over ten checkpoints, p = 0.04: enough for one matrix, not for two."""
    uneven = 1 - 0.03 * np.array([1, 7, 0, 3, 2, 4, 5, 9, 6, 8])
    assert c7({"w_out": {}}, {"w_out": uneven}, shuffled={"w_out": FALLING})["verdict"] == "supported"
    both = c7({"w_out": {}, "w_in": {}}, {"w_out": uneven, "w_in": uneven})
    assert both["verdict"] == "undecided"
    assert "checkpoints with a known step (10 here)" in both["need"]


def test_matrices_that_disagree_are_undecided_and_say_so():
    found = c7({"w_out": NONE, "w_in": {}}, {"w_out": FALLING, "w_in": FALLING})
    assert "one matrix supports the claim and one contradicts it" in found["need"]


def test_tail_row_says_exponents_interval_p_trend_and_whose_weights():
    row = c7({"w_out": {}}, {"w_out": FALLING})
    assert (row["value"], row["ci_low"], row["ci_high"]) == pytest.approx((-0.3, -0.4, -0.2))
    assert (row["p_value"], row["n"], row["bound"], row["need"]) == (0.01, 33, -0.1, "")
    two = c7({"w_out": {}, "w_in": {}}, {"w_out": FALLING, "w_in": FALLING})
    assert two["p_value"] == 0.02  # times the number of matrices
    assert row["sentence"].startswith(
        "Supported for a at step16: the Hill exponent of the w_out weights of the 33 most influential neurons is 30 % "
        "below that of matched groups, which is a heavier tail (95 % interval -40 % to -20 %; p = 0.01) and 30 % below "
        "that of groups chosen with shuffled labels (p = 0.01), and the ratio of the two changed by -0.3"
    )
    for part in ("exponent 0.7, mean of 200 matched groups 1 ", "0.8 to 1.3", "p = 0.01", "rank correlation"):
        assert part in row["evidence"]
    assert "tracked backwards" not in row["evidence"]
    assert "no plateau is declared" in row["evidence"]
    tables = tables_for(["a"])
    names = (("top_33", RISING), ("final_top_33", -RISING))
    rng = np.random.default_rng(0)
    tables["dynamics"] = pd.concat(course_of(RATIO, v, 0.001, rng, group) for group, v in names)
    said = row_of("C7", tables)["evidence"]
    assert "rank correlation with step 1 (" in said
    assert "(the final neurons tracked backwards: -1 (95 % interval -1 to -1)" in said
    with_plateau = c7({"w_out": {}}, {"w_out": FALLING}, plateau=(1, 0), group="plateau")
    assert "the 20 plateau neurons" in with_plateau["sentence"]
    assert "(plateau, rare)" in with_plateau["statistic"]
    unknown = c7({"w_out": {"value": np.nan, "gap": (np.nan, np.nan), "q": np.nan}}, {"w_out": FALLING})
    assert "1 of 33 neurons have constant weights" in unknown["sentence"]
    assert "1 of 33 neurons have constant weights" in unknown["need"]


def test_need_of_tails():
    alone = row_of("C7", tables_for(["a"]))
    assert alone["verdict"] == "undecided"
    assert alone["need"] == "w_out: 5 checkpoints with a known step (2 here)"
    wide = c7({"w_out": {"q": 0.3}}, {"w_out": FALLING})["need"]
    assert wide.startswith("w_out: to support it, a group of ")
    assert "checkpoints" not in wide
    rng = np.random.default_rng(0)
    tables = tables_for(["a"])
    tables["dynamics"] = course_of(RATIO, 1 - 0.1 * RISING, 0.15, rng)
    uncertain = row_of("C7", tables)["need"]
    assert "times as many discovery documents" in uncertain
