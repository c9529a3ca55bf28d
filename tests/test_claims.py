"""Claims pick the right number, follow their rule, and stay undecided while their test is missing."""

import numpy as np
import pandas as pd
import pytest

from rareneurons.claims import CLAIMS, DIMENSION_CLAIM, OTHER_CLAIMS, Bounds, claims_markdown, decide
from rareneurons.tables import CLAIM_COLUMNS, CheckpointName, Estimate, measure_frame

BOUNDS = Bounds("rare", "common", 0.5, 0.8, 0.05, 0.125, 0.1, 0.5)


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
    for claim in [claim for claim in CLAIMS if claim is not DIMENSION_CLAIM]:
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
    return found


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
    by_rule = claims["claim"].isin(["C3", "C4", "C5"])
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


def test_claims_without_a_rule_stay_undecided_and_say_why():
    claims = decide(tables_for(["a"]), BOUNDS).set_index("claim")
    without_rule = [claim for claim in OTHER_CLAIMS if claim.missing]
    assert without_rule
    for claim in without_rule:
        assert claims.loc[claim.name, "verdict"] == "undecided"
        assert claim.missing in claims.loc[claim.name, "sentence"]


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
    before = frame("a", 2, "rare", "plateau", "hill.w_out.matched", 0.5)
    tables["spectra"] = pd.concat([before, frame("a", 16, "rare", "fixed_plateau", "hill.w_out.matched", 0.25)])
    assert decide(tables, BOUNDS).set_index("claim").loc["C7", "value"] == 0.25


def test_unmeasured_numbers_are_said():
    tables = tables_for(["a"])
    tables["spectra"] = tables["spectra"].iloc[:0]
    tables["regimes"] = tables["regimes"][tables["regimes"]["measure"] != "mean_abs.test.plateau"]
    claims = decide(tables, BOUNDS).set_index("claim")
    for name in ("C1", "C2", "C7"):
        assert claims.loc[name, "n"] == 0
        assert np.isnan(claims.loc[name, "value"])
        assert claims.loc[name, "verdict"] == "undecided"
        assert "not measured" in claims.loc[name, "reason"]


def test_markdown_has_a_section_a_claim():
    text = claims_markdown(decide(tables_for(["a"]), BOUNDS))
    for claim in CLAIMS:
        assert f"## {claim.name}" in text
