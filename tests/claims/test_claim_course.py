"""C6 tells gradual and abrupt rises of the joint ablation's selectivity apart, and says where it cannot."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from claim_tables import BOUNDS, VIEW, dimension_table, frame, tables_for
from courses import course_of
from scipy import special

from rareneurons.claims import CLAIMS, decide
from rareneurons.claims.course import RESOLVED, decide_course
from rareneurons.claims.view import tables_of
from rareneurons.dynamics.rise import rise_at
from rareneurons.tables import MEASURE_COLUMNS

SELECTIVITY = "delta_loss", "matched_rows", "excess", "matched"
DIMENSION = "effective_dimension", "", "difference", "matched"
C6 = [claim for claim in CLAIMS if claim.name == "C6"]
PROJECT = Path(__file__).resolve().parents[2]
PYTHIA = next(m for m in yaml.safe_load((PROJECT / "config.yaml").read_text())["models"] if "schedule" in m)
DEFAULT = np.array(PYTHIA["checkpoints"])  # of config.yaml
# Those of the first version, at which no rise before step 14,000 can be resolved.
SPARSE = np.array([0, 4000, *range(14000, 124001, 10000), 143000])
WIDE, NARROW = 2.0, 0.3
NOTHING = pd.DataFrame(columns=MEASURE_COLUMNS)


def rising(width, centre=1000, steps=DEFAULT, height=0.3):
    return rise_at(steps, 0, height, np.log1p(centre), width)


def tables_with(dynamics: pd.DataFrame, steps=DEFAULT) -> dict[str, pd.DataFrame]:
    """Tables of one model whose trends are those given."""
    tables = tables_for(["a"])
    tables["coordination"] = pd.concat([tables["coordination"], dimension_table(group="top_33")])
    names = [f"step{step}" for step in steps]
    audit = pd.DataFrame({"model": "a", "checkpoint": names, "step": steps, "finding": "ok", "left_out": False})
    return tables | {"dynamics": dynamics, "audit": audit}


def selectivity_over(course, noise, rng, steps=DEFAULT) -> pd.DataFrame:
    """Trends of a planted course of the selectivity."""
    return course_of(SELECTIVITY, course, noise, rng, "top_33", "rare-common", steps)


def c6(selectivity, dimension=None, noise=0.005, steps=DEFAULT) -> pd.Series:
    """C6 for planted courses of the selectivity and of the dimension less the matched mean."""
    rng = np.random.default_rng(0)
    dynamics = [selectivity_over(selectivity, noise, rng, steps)]
    if dimension is not None:
        dynamics.append(course_of(DIMENSION, dimension, noise, rng, "top_33", "rare", steps))
    return decide(tables_with(pd.concat(dynamics), steps), VIEW, BOUNDS, C6).iloc[0]


@pytest.fixture(scope="module")
def verdict_of():
    """Function of the selectivity's trends: the decision alone, for many draws."""
    tables = tables_of("a", tables_with(NOTHING))
    return lambda dynamics: decide_course(tables | {"dynamics": dynamics}, VIEW, BOUNDS)


@pytest.mark.parametrize("dimension", [None, -rising(WIDE), -rising(NARROW), 0 * rising(WIDE)])
@pytest.mark.parametrize(("width", "expected"), [(WIDE, "supported"), (NARROW, "contradicted")])
def test_the_width_of_the_rise_decides_and_the_dimension_does_not(width, dimension, expected):
    row = c6(rising(width), dimension)
    assert (row["verdict"], row["need"]) == (expected, "")
    assert row["ci_low"] < width < row["ci_high"]


@pytest.mark.parametrize(
    ("course", "expected"),
    [
        (0.3 * DEFAULT / DEFAULT[-1], "supported"),  # as steady as can be
        (0.3 * np.log1p(DEFAULT) / np.log1p(DEFAULT[-1]), "supported"),
        (0.3 * (DEFAULT > 600), "contradicted"),
        (-rising(WIDE), "undecided"),  # the other way round is no emergence
        (rising(WIDE, 64) - 0.95 * rising(WIDE, 8000), "undecided"),  # there and back again
        (rising(WIDE, height=0.02), "supported"),
        (rising(WIDE, height=0.005), "undecided"),  # less than would matter
    ],
)
def test_other_shapes(course, expected):
    assert c6(course, noise=0.0004)["verdict"] == expected


def test_no_rise_no_speed():
    row = c6(rising(WIDE, height=0.002), noise=0.001)
    assert row["verdict"] == "undecided"
    assert np.isnan(row["value"])
    assert "so there is no change of 0.01 or more whose speed could be judged" in row["sentence"]
    assert row["need"] == "a model or a longer training run in which the measure changes by more than 0.01"
    row = c6(rising(WIDE, height=0.015), noise=0.01)
    assert "which may be more or less than the 0.01 that would matter" in row["sentence"]
    assert row["need"].endswith("times as many held-out documents")


def test_row_says_change_width_centre_and_what_decides_nothing():
    row = c6(rising(WIDE), -rising(NARROW))
    assert row["statistic"] == (
        "width in ln step of the rise of the selectivity of joint ablation minus that of matched groups "
        "(top_33, rare-common)"
    )
    assert (row["n"], row["bound"]) == (24, 0.69)
    assert row["ci_low"] < row["value"] < row["ci_high"]
    who = "the 33 most influential neurons"
    said = f"the selectivity of the joint ablation of {who}, minus that of matched groups, changed"
    assert f"Supported for a at step16: {said} by 0.3 (95 % interval" in row["sentence"]
    assert "gradually: the middle half of this change takes 2.1 (95 % interval 2 to 2.3) in ln step" in row["sentence"]
    assert "a factor of 8.6 in steps, around step 979 (95 % interval 898 to 1059)" in row["sentence"]
    assert "dimension" not in row["sentence"]
    assert "without a part in the decision: the effective dimension of " + who in row["evidence"]
    assert "abruptly" in row["evidence"]
    assert "supported (gradual) if the interval of the width lies above 0.69" in row["rule"].lower()


def test_checkpoints_too_far_apart_are_named_and_documents_are_not_asked_for():
    row = c6(rising(NARROW, 1000, SPARSE), steps=SPARSE)
    assert row["verdict"] == "undecided"
    assert "too far apart to distinguish gradual from abrupt" in row["sentence"]
    assert row["need"] == "12 more checkpoints between steps 0 and 4000, evenly spaced in ln step"
    assert c6(rising(NARROW, 1000))["verdict"] == "contradicted", "the default checkpoints resolve it"


def test_in_gaps_that_count_as_resolved_a_jump_is_abrupt():
    gap = RESOLVED * BOUNDS.abrupt_width
    steps = np.expm1(gap * np.arange(12)).astype(int)
    for place in (5, 5.25, 5.5):
        assert c6(rising(0.1, np.expm1(gap * place), steps), steps=steps)["verdict"] == "contradicted"
    steps = np.expm1(3 * gap * np.arange(6)).astype(int)
    assert "too far apart" in c6(rising(0.1, np.expm1(7.5 * gap), steps), steps=steps)["sentence"]


@pytest.mark.parametrize(
    ("course", "noise", "said", "needed"),
    [
        (rising(0.8), 0.03, "too uncertain to distinguish", "times as many held-out documents"),
        (rising(0.8, 140000, height=0.6), 0.01, "not over at the last checkpoint", "checkpoints after the last one"),
    ],
)
def test_need_of_an_open_width(course, noise, said, needed):
    row = c6(course, noise=noise)
    assert row["verdict"] == "undecided"
    assert said in row["sentence"]
    assert needed in row["need"]


def test_where_checkpoints_scatter_more_of_them_are_asked_for():
    scattered = rising(1.0) + 0.03 * np.random.default_rng(3).normal(size=len(DEFAULT))
    row = c6(scattered, noise=0.001)
    assert row["verdict"] == "undecided"
    assert "checkpoints scatter too much" in row["sentence"]
    assert "more checkpoints between steps" in row["need"]


def test_five_checkpoints_are_too_few_and_a_measure_without_rows_is_named():
    few = DEFAULT[:5]
    row = c6(rising(WIDE, 64, few), steps=few)
    assert row["verdict"] == "undecided"
    assert "is not known at the 6 checkpoints or more that the fit requires" in row["sentence"]
    assert row["need"] == "6 checkpoints with a known step (5 here)"
    row = decide(tables_with(NOTHING), VIEW, BOUNDS, C6).iloc[0]
    assert row["need"] == "a group that can be measured; here: there is no row of this group in tables/joint.csv"


@pytest.mark.parametrize(("first", "said"), [(64, "finds a plateau first at step 64"), (np.nan, "at no checkpoint")])
def test_course_row_says_where_the_plateau_test_passes_first(first, said):
    tables = tables_for(["a"])
    tables["dynamics"] = frame("a", 256, "rare", "boost", "plateau", "test", first, quantity="first_step")
    assert said in decide(tables, VIEW, BOUNDS, C6).iloc[0]["evidence"]


def error_function(width, centre):
    """Another shape than the one that is fitted, from 0 to 1, with the same middle half."""
    return special.ndtr((np.log1p(DEFAULT) - np.log1p(centre)) * 2 * special.ndtri(0.75) / width)


@pytest.mark.calibration
@pytest.mark.parametrize("shape", [rising, error_function])
def test_rises_on_the_default_checkpoints_are_told_apart(shape, verdict_of):
    """120 rises at steps 300 to 20,000, of width 0.3 to 2, errors of documents 4 % of the rise.

    Those that can be told apart are at least 1.5 times wider or narrower than the bound.
    """
    rng, found = np.random.default_rng(73), []
    for _ in range(120):
        width, centre = np.exp(rng.uniform(*np.log([0.3, 2]))), np.exp(rng.uniform(*np.log([300, 20000])))
        course = shape(width, centre)
        found_here = verdict_of(selectivity_over(course, 0.04 * course[-1], rng))
        interval = found_here.number
        found.append((width, found_here.verdict, interval.ci_low <= width <= interval.ci_high))
    rows = pd.DataFrame(found, columns=["width", "verdict", "held"])
    right = np.where(rows["width"] > BOUNDS.abrupt_width, "supported", "contradicted")
    can_be = np.abs(np.log(rows["width"] / BOUNDS.abrupt_width)) > np.log(1.5)
    assert can_be.sum() >= 60
    assert (rows["verdict"] == right)[can_be].mean() >= 0.8
    assert ((rows["verdict"] != right) & (rows["verdict"] != "undecided")).mean() <= 0.05
    assert 0.92 <= rows["held"].mean() <= 0.98


@pytest.mark.calibration
@pytest.mark.parametrize("scatter", [0.0, 0.3])
def test_noise_is_neither_gradual_nor_abrupt(scatter, verdict_of):
    """120 courses without a rise, of large errors of documents or of a large scatter of checkpoints."""
    rng = np.random.default_rng(79)
    noise = 0.1 if scatter else 0.3
    courses = (selectivity_over(scatter * rng.normal(size=len(DEFAULT)), noise, rng) for _ in range(120))
    verdicts = [verdict_of(dynamics).verdict for dynamics in courses]
    assert verdicts.count("supported") <= 6
    assert verdicts.count("contradicted") <= 6
