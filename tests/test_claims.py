"""Claims pick the right number, follow their rule, and stay undecided while their test is missing."""

import numpy as np
import pandas as pd
import pytest

from rareneurons.claims import (
    CLAIMS,
    COURSE_CLAIM,
    DIMENSION_CLAIM,
    TAIL_CLAIM,
    Bounds,
    claims_markdown,
    decide,
)
from rareneurons.dynamics.trends import measure_trends
from rareneurons.tables import CLAIM_COLUMNS, MEASURE_COLUMNS, CheckpointName, Estimate, measure_frame

BOUNDS = Bounds("rare", "common", 0.5, 0.8, 0.05, 0.125, 0.1, 0.5, 0.05, 0.5, 4, 0.1)


def frame(model, step, condition, group, measure, value, p=0.04):
    return measure_frame(
        CheckpointName(model, f"step{step}"), [(condition, group, Estimate(measure, value, "unit", 5, 0.1, 0.9, p))]
    )


def dimension(group="plateau", model="a", step=16, value=0.49, null=(0.56, 0.53, 0.59), gap=(-0.1, -0.04), q=0.02):
    """The coordination rows that C3 reads: value, mean and central 95 % of matched groups, interval, adjusted p."""
    name, reason = "effective_dimension.matched", "" if np.isfinite(value) else "2 neurons, at least 3 are needed"
    estimates = [
        Estimate(name, value, "u", 100, 0.4, 0.5, q / 2, reason),
        Estimate(f"{name}.null_mean", null[0], "u", 200, *null[1:]),
        Estimate(f"{name}.difference", value - null[0], "u", 100, *gap),
    ]
    table = measure_frame(CheckpointName(model, f"step{step}"), [("rare", group, each) for each in estimates])
    return table.assign(q_value=[q, np.nan, np.nan], reason=[reason, "", ""])


def tables_for(models, plateau=(0, 0), power=(0.9, 0.9)):
    """Every claim's number at two steps; ``plateau`` and ``power`` for rare and common at the last one."""
    found = {}
    for claim in [claim for claim in CLAIMS if claim not in (DIMENSION_CLAIM, COURSE_CLAIM, TAIL_CLAIM)]:
        condition = "rare" if claim.side == "condition" else "common"
        frames = [
            frame(model, step, condition, claim.group, claim.measure, step / 10) for model in models for step in (2, 16)
        ]
        found[claim.table] = pd.concat([found.get(claim.table), *frames])
    tests = [
        frame(model, 16, condition, "boost", f"mean_abs.test.{name}", value, 0.003 if value == 1 else 0.4)
        for model in models
        for name, values in (("plateau", plateau), ("power", power))
        for condition, value in zip(("rare", "common"), values, strict=True)
    ]
    found["regimes"] = pd.concat([found["regimes"], *tests])
    found["organization"] = clusters(models)
    found["attention"] = routing(models)
    found["coordination"] = pd.concat([dimension(model=model, step=step) for model in models for step in (2, 16)])
    found["dynamics"] = pd.DataFrame(columns=MEASURE_COLUMNS)
    found["audit"] = audit(models)
    found["spectra"] = pd.concat([tails(model=model, step=step) for model in models for step in (2, 16)])
    return found


def audit(models, **findings):
    """The audit's answer; ``findings`` of the first model by checkpoint."""
    rows = [(models[0], name, finding, True) for name, finding in findings.items()]
    rows += [(model, "step16", "ok", False) for model in models]
    return pd.DataFrame(rows, columns=["model", "checkpoint", "finding", "left_out"])


def test_checkpoints_left_out_are_named_where_training_is_spoken_of():
    tables = tables_for(["a", "b"]) | {"audit": audit(["a", "b"], step1="duplicate", step8="outlier")}
    claims = decide(tables, BOUNDS).set_index(["claim", "model"])
    named = claims["sentence"].str.contains("what their names say: step1 (duplicate), step8 (outlier).", regex=False)
    assert set(named[named].index) == {("C6", "a"), ("C7", "a")}
    assert claims["reason"].str.contains("step8 (outlier)", regex=False).equals(named)


def tails(
    matrix="w_out", group="fixed_plateau", model="a", step=16, value=0.7, null=(1.0, 0.8, 1.3), gap=(-0.4, -0.2), q=0.01
):
    """The spectra rows that C7 reads: Hill's exponent, matched groups' mean and central 95 %, interval, adjusted p."""
    name, reason = f"hill.{matrix}.matched", "" if np.isfinite(value) else "1 of 33 neurons have constant weights"
    estimates = [
        Estimate(name, value, "exponent", 33, 0.6, 0.8, q / 2, reason),
        Estimate(f"{name}.null_mean", null[0], "exponent", 200, *null[1:]),
        Estimate(f"{name}.difference", value - null[0], "exponent", 33, *gap),
    ]
    table = measure_frame(CheckpointName(model, f"step{step}"), [("rare", group, each) for each in estimates])
    return table.assign(q_value=[q, np.nan, np.nan], reason=[reason, "", ""])


def clusters(models, value=0.3, low=0.25, high=0.35, null=0.2, q=0.02, group="plateau", reason=""):
    """Modularity and its matched controls at two steps; only the last one's numbers are those given."""
    frames = []
    for model in models:
        for step, shift in ((2, 0.5), (16, 0.0)):
            estimates = [
                Estimate("signed_modularity.matched", value + shift, "modularity", 5, low, high, q / 2),
                Estimate("signed_modularity.matched.null_mean", null + shift, "modularity", 9),
            ]
            named = [("rare", group, estimate) for estimate in estimates]
            frames.append(measure_frame(CheckpointName(model, f"step{step}"), named))
    return pd.concat(frames).assign(q_value=q, reason=reason)


def routing(models, value=0.01, low=-0.01, high=0.02, effect=0.1, heads=0, p=0.4, group="plateau", reason=""):
    """What C5 reads, at two steps; only the last one's numbers are those given."""
    frames = []
    for model in models:
        for step, shift in ((2, 5.0), (16, 0.0)):
            difference = [
                Estimate("largest_routing.mean.matched", value + shift, "sd", 300, low + shift, high + shift, p),
                Estimate("routing_heads.mean", heads + shift, "heads", 12),
                Estimate("selective_heads.mean", 3 + shift, "heads", 12),
            ]
            rare = [
                Estimate("head_effect.mean.matched", effect + shift, "sd", 200),
                Estimate("gini.mean.matched", 0.25, "share", 200, p_value=0.03),
                Estimate("gini.mean.matched.null_mean", 0.2, "share", 100),
                Estimate("largest_head_share.mean", 0.6, "share", 200),
            ]
            named = [("rare-common", group, each) for each in difference] + [("rare", group, each) for each in rare]
            frames.append(measure_frame(CheckpointName(model, f"step{step}"), named))
    return pd.concat(frames).assign(q_value=np.nan, reason=reason)


def verdicts(**given) -> dict[str, str]:
    return decide(tables_for(["a"], **given), BOUNDS).set_index("claim")["verdict"].to_dict()


def test_one_row_a_claim_and_model_at_the_last_checkpoint():
    claims = decide(tables_for(["a", "b"]), BOUNDS)
    assert list(claims.columns) == CLAIM_COLUMNS
    assert claims["claim"].tolist() == [c.name for c in CLAIMS for _ in "ab"]
    by_rule = claims["claim"].isin(["C3", "C4", "C5", "C6", "C7"])
    assert (claims.loc[~by_rule, "value"] == 1.6).all()
    assert claims.loc[claims["claim"] == "C4", "value"].tolist() == pytest.approx([0.1, 0.1])
    assert claims.loc[claims["claim"] == "C3", "sentence"].str.contains("at step16").all()
    assert claims["reason"].str.len().min() > 20


@pytest.mark.parametrize(
    ("plateau", "power", "expected"),
    [
        ((1, 0), (0.1, 0.9), ("supported", "supported")),
        ((0, 1), (0.9, 0.1), ("contradicted", "contradicted")),
        ((0, 0), (0.79, 0.79), ("undecided", "undecided")),
        ((0, 0), (0.8, 0.2), ("contradicted", "undecided")),
        ((1, 1), (0.0, 0.0), ("supported", "contradicted")),
        ((0, 0), (np.nan, np.nan), ("undecided", "undecided")),
    ],
)
def test_plateau_claims_follow_the_test_and_its_power(plateau, power, expected):
    found = verdicts(plateau=plateau, power=power)
    assert (found["C1"], found["C2"]) == expected


def test_plateau_rows_say_rule_p_and_power():
    row = decide(tables_for(["a"], power=(0.3, 0.9)), BOUNDS).set_index("claim").loc["C1"]
    assert row["bound"] == 0.5
    assert row["p_value"] == 0.4
    assert "power to find a planted one is 30%, below the 80%" in row["sentence"]
    assert "at most 0.5 of the power law's" in row["reason"]


def clusters_row(plateau=(1, 0), **numbers) -> pd.Series:
    tables = tables_for(["a"], plateau=plateau) | {"organization": clusters(["a"], **numbers)}
    return decide(tables, BOUNDS).set_index("claim").loc["C4"]


@pytest.mark.parametrize(
    ("low", "high", "q", "expected"),
    [
        (0.15, 0.29, 0.02, "supported"),  # upper end of the difference 0.09
        (0.15, 0.29, 0.9, "supported"),
        (0.15, 0.31, 0.02, "undecided"),  # the interval spans the margin
        (0.31, 0.40, 0.02, "contradicted"),
        (0.31, 0.40, 0.06, "undecided"),
        (np.nan, np.nan, 0.02, "undecided"),
    ],
)
def test_no_clusters_is_an_equivalence_statement(low, high, q, expected):
    row = clusters_row(low=low, high=high, q=q)
    assert row["verdict"] == expected
    assert row["bound"] == 0.1
    assert row["p_value"] == q
    assert (row["ci_low"], row["ci_high"]) == pytest.approx((low - 0.2, high - 0.2), nan_ok=True)


def test_clusters_row_says_value_null_interval_p_and_whether_there_is_a_plateau():
    sentence = clusters_row(plateau=(0, 0), low=0.31, high=0.4)["sentence"]
    for part in ("is 0.3,", "0.2 on average", "difference 0.1 (95 % interval 0.11 to 0.2)", "p = 0.02", "no plateau"):
        assert part in sentence
    assert "no plateau" not in clusters_row()["sentence"]


def test_clusters_of_an_unmeasured_group_are_undecided_and_of_no_group_those_of_the_fixed_one():
    row = clusters_row(value=np.nan, low=np.nan, high=np.nan, q=np.nan, reason="2 neurons, at least 3 are needed")
    assert row["verdict"] == "undecided"
    assert "2 neurons, at least 3 are needed" in row["sentence"]
    assert "fixed_plateau" in clusters_row(group="fixed_plateau")["statistic"]


def routing_row(plateau=(1, 0), **numbers) -> pd.Series:
    tables = tables_for(["a"], plateau=plateau) | {"attention": routing(["a"], **numbers)}
    return decide(tables, BOUNDS).set_index("claim").loc["C5"]


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ({"high": 0.049}, "supported"),  # 0.49 of a mean head's effect
        ({"high": 0.051}, "undecided"),  # routing by half of it is not excluded
        ({"high": 0.051, "heads": 1}, "contradicted"),
        ({"high": 0.049, "heads": 1}, "supported"),  # found, but too small to be dedicated
        ({"high": 0.049, "effect": 0.05}, "undecided"),
        ({"value": np.nan, "high": 0.01, "reason": "2 heads reach"}, "undecided"),
        ({"high": np.nan}, "undecided"),
    ],
)
def test_no_routing_counts_only_where_routing_would_be_seen(numbers, expected):
    row = routing_row(**numbers)
    assert row["verdict"] == expected
    assert row["bound"] == 0.5


def test_routing_row_is_in_units_of_a_mean_head_and_says_its_numbers():
    row = routing_row(value=0.03, low=0.01, high=0.06, heads=2, p=0.004)
    assert (row["value"], row["ci_low"], row["ci_high"]) == pytest.approx((0.3, 0.1, 0.6))
    assert row["p_value"] == 0.004
    for said in (
        "of 12 heads 3 move plateau more on rare rows and 2 route",
        "0.3 of a mean head's effect",
        "p = 0.004",
        "0.25 (0.2 on",
        "60%",
    ):
        assert said in row["sentence"]
    assert "at step16" in row["sentence"]
    assert "no plateau" not in row["sentence"]
    assert "no plateau" in routing_row(plateau=(0, 0))["sentence"]
    assert "fixed_plateau" in routing_row(group="fixed_plateau")["statistic"]
    assert "2 heads reach" in routing_row(value=np.nan, reason="2 heads reach")["sentence"]


def decided(**given) -> pd.Series:
    return decide(tables_for(["a"]) | {"coordination": dimension(**given)}, BOUNDS).set_index("claim").loc["C3"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, "supported"),
        ({"q": 0.051}, "undecided"),
        ({"value": 0.65, "gap": (0.05, 0.13)}, "contradicted"),  # significant in the other direction
        ({"value": 0.56, "gap": (-0.05, 0.05), "q": 0.6}, "contradicted"),
        ({"value": 0.56, "gap": (-0.08, 0.05), "q": 0.6}, "undecided"),  # a reduction by 0.07 is not excluded
        ({"value": 0.53, "gap": (-0.05, -0.01), "q": 0.6}, "undecided"),  # no reduction is
        ({"value": 0.56, "gap": (-0.05, 0.05), "q": 0.6, "null": (0.56, 0.4, 0.8)}, "undecided"),  # no power
        ({"value": np.nan, "q": np.nan}, "undecided"),
    ],
)
def test_dimension_claim_follows_adjusted_p_and_interval(given, expected):
    assert decided(**given)["verdict"] == expected


def test_dimension_claim_says_value_null_interval_p_and_that_there_is_no_plateau():
    row = decided()
    assert (row["value"], row["ci_low"], row["ci_high"]) == pytest.approx((-0.07, -0.1, -0.04))
    assert (row["p_value"], row["bound"]) == (0.02, 0.05)
    for said in (
        *("0.49 of their number", "87% of the mean over 200 matched groups, 0.56", "0.53 to 0.59", "-0.1 to -0.04"),
        *("p = 0.01, adjusted 0.02", "there is no plateau to speak of"),
    ):
        assert said in row["sentence"]
    with_plateau = decide(tables_for(["a"], plateau=(1, 0)), BOUNDS).set_index("claim").loc["C3", "sentence"]
    assert "to speak of" not in with_plateau
    assert "2 neurons, at least 3 are needed" in decided(value=np.nan, q=np.nan)["sentence"]


def test_the_fixed_plateau_stands_in_where_none_is_fitted():
    row = decided(group="fixed_plateau")
    assert row["verdict"] == "supported"
    assert "fixed_plateau" in row["statistic"]
    tables = tables_for(["a"])
    tables["coordination"] = pd.concat([dimension(step=2), dimension(group="fixed_plateau")])
    row = decide(tables, BOUNDS).set_index("claim").loc["C3"]
    assert "fixed_plateau" in row["statistic"]
    assert "at step16" in row["sentence"], "the last checkpoint counts, not the last that has a plateau"


def test_unmeasured_numbers_are_said():
    tables = tables_for(["a"])
    tables["spectra"] = tables["spectra"].iloc[:0]
    tables["regimes"] = tables["regimes"][tables["regimes"]["measure"] != "mean_abs.test.plateau"]
    claims = decide(tables, BOUNDS).set_index("claim")
    for name in ("C1", "C2", "C7"):  # C6 has nothing either, but says so measure by measure
        assert claims.loc[name, "n"] == 0
        assert np.isnan(claims.loc[name, "value"])
        assert claims.loc[name, "verdict"] == "undecided"
        assert "not measured" in claims.loc[name, "reason"]


def test_markdown_has_a_section_a_claim():
    text = claims_markdown(decide(tables_for(["a"]), BOUNDS))
    for claim in CLAIMS:
        assert f"## {claim.name}" in text


STEPS = np.array([0, 1, 2, 4, 8, 16, 32, 64, 128, 256])
RISING = np.arange(10) / 9
JUMP = (STEPS >= 16).astype(float)
SELECTIVITY, DIMENSION = "mean_abs.head.influence_share", "effective_dimension.matched.difference"


def course_of(measure, values, noise, rng, group="fixed_plateau", condition="rare", steps=STEPS) -> pd.DataFrame:
    """Trend, change and largest step of a planted series, whose documents scatter it by ``noise``."""
    measured = np.asarray(values) + noise * rng.normal(size=len(steps))
    names = [CheckpointName("a", f"step{step}") for step in steps]
    estimates = (Estimate(measure, value, "u", 33) for value in measured)
    table = pd.concat(measure_frame(n, [(condition, group, e)]) for n, e in zip(names, estimates, strict=True))
    keys = {"model": "a", "condition": condition, "group": group, "measure": measure}
    draws = measured + noise * rng.normal(size=(100, len(steps)))
    rows = [keys | {"step": step, "draws": column} for step, column in zip(steps, draws.T, strict=True)]
    return measure_trends([table], pd.DataFrame(rows), 200, rng)


def c6(share, dimension, noise=0.01, rng=None, plateau=(0, 0), steps=STEPS, group="fixed_plateau") -> pd.Series:
    """C6 for planted courses of the head's share and of the dimension less the matched mean."""
    rng = np.random.default_rng(0) if rng is None else rng
    dynamics = [
        course_of(SELECTIVITY, share, noise, rng, "boost", "rare-common", steps),
        course_of(DIMENSION, dimension, noise, rng, group, "rare", steps),
    ]
    tables = tables_for(["a"], plateau=plateau) | {"dynamics": pd.concat(dynamics)}
    tables["coordination"] = pd.concat([tables["coordination"], globals()["dimension"](group="fixed_plateau")])
    return decide(tables, BOUNDS).set_index("claim").loc["C6"]


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


def test_half_of_the_change_in_one_step_is_undecided():
    row = c6(0.3 * (0.6 * RISING + 0.4 * JUMP), 0 * RISING, 0.012)
    assert row["verdict"] == "undecided"
    assert "too uncertain to tell gradual from abrupt" in row["sentence"]


def test_a_measure_that_comes_back_is_neither_gradual_nor_abrupt():
    overshoot = 0.1 * RISING + 0.3 * ((STEPS >= 16) & (STEPS < 256))
    row = c6(overshoot, 0 * RISING, 0.002)
    assert row["verdict"] == "undecided"
    assert "goes further than it stays" in row["sentence"]


def test_a_jump_between_distant_checkpoints_is_not_called_abrupt():
    far = np.array([0, 4000, 14000, 24000, 34000, 44000, 54000, 64000, 74000, 143000])
    row = c6(0.3 * (far > 0), 0 * far, 0.002, steps=far)
    assert row["verdict"] == "undecided"
    assert "lies from step 0 to 4000: too far apart" in row["sentence"]


def test_course_row_says_change_trend_largest_part_and_plateau():
    row = c6(0.3 * RISING, 0 * RISING, 0.002)
    assert row["statistic"] == "mean_abs.head.influence_share (boost, rare-common)"
    assert row["value"] == pytest.approx(0.3, abs=0.01)
    assert row["ci_low"] < row["value"] < row["ci_high"]
    assert (row["n"], row["bound"]) == (10, 0.5)
    assert row["p_value"] <= 0.025
    for part in (
        "over 10 checkpoints",
        "largest part of it between neighbouring",
        "gradual",
        "at no checkpoint",
        "fixed cut",
    ):
        assert part in row["sentence"]
    assert "less than 50% of the change" in row["reason"]
    row = c6(0 * RISING, -0.3 * JUMP, 0.002)
    assert row["statistic"] == "effective_dimension.matched.difference (fixed_plateau, rare)"
    with_plateau = c6(0 * RISING, -0.3 * RISING, 0.002, plateau=(1, 0), group="plateau")
    assert with_plateau["verdict"] == "supported"
    assert "(plateau, rare)" in with_plateau["statistic"]
    assert "fixed cut" not in with_plateau["sentence"]


def test_course_of_one_checkpoint_is_not_known():
    row = decide(tables_for(["a"]), BOUNDS).set_index("claim").loc["C6"]
    assert row["verdict"] == "undecided"
    assert row["sentence"].count("is not known at four checkpoints") == 2
    assert row["n"] == 0


def c7(matrices, courses, plateau=(0, 0), group="fixed_plateau") -> pd.Series:
    """C7 for spectra rows of each matrix and the courses of their ratios to matched groups."""
    rng = np.random.default_rng(0)
    tables = tables_for(["a"], plateau=plateau)
    tables["spectra"] = pd.concat([tails(matrix=name, group=group, **given) for name, given in matrices.items()])
    tables["dynamics"] = pd.concat(
        course_of(f"hill.{name}.matched.ratio", values, 0.002, rng, group) for name, values in courses.items()
    )
    return decide(tables, BOUNDS).set_index("claim").loc["C7"]


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
    assert (found["verdict"], found["statistic"]) == ("supported", "hill.w_in.matched.difference (fixed_plateau, rare)")
    assert c7({"w_out": NONE, "w_in": {}}, both)["verdict"] == "undecided"
    assert c7({"w_out": NONE, "w_in": {"q": 0.6}}, both)["verdict"] == "undecided"
    assert c7({"w_out": NONE, "w_in": NONE}, both)["verdict"] == "contradicted"


def test_tail_row_says_exponents_interval_p_trend_and_plateau():
    row = c7({"w_out": {}}, {"w_out": FALLING})
    assert (row["value"], row["ci_low"], row["ci_high"]) == pytest.approx((-0.3, -0.4, -0.2))
    assert (row["p_value"], row["n"], row["bound"]) == (0.01, 33, 0.05)
    for part in (
        "neurons 0.7, matched groups 1 ",
        "0.8 to 1.3",
        "-0.4 to -0.2",
        "adjusted 0.01",
        "rank correlation",
        "fixed cut",
    ):
        assert part in row["sentence"]
    assert "followed back" not in row["sentence"]
    tables = tables_for(["a"])
    names = (("fixed_plateau", RISING), ("final_fixed_plateau", -RISING))
    rng = np.random.default_rng(0)
    tables["dynamics"] = pd.concat(course_of("hill.w_out.matched.ratio", v, 0.001, rng, group) for group, v in names)
    said = decide(tables, BOUNDS).set_index("claim").loc["C7", "sentence"]
    assert "rank correlation with step 1 (" in said
    assert "(the final neurons followed back: -1 (95 % interval -1 to -1)" in said
    with_plateau = c7({"w_out": {}}, {"w_out": FALLING}, plateau=(1, 0), group="plateau")
    assert "fixed cut" not in with_plateau["sentence"]
    assert "(plateau, rare)" in with_plateau["statistic"]
    unknown = c7({"w_out": {"value": np.nan, "gap": (np.nan, np.nan), "q": np.nan}}, {"w_out": FALLING})
    assert "1 of 33 neurons have constant weights" in unknown["sentence"]
    alone = decide(tables_for(["a"]), BOUNDS).set_index("claim").loc["C7"]
    assert alone["verdict"] == "undecided"
    assert "no trend over fewer than four checkpoints" in alone["sentence"]
