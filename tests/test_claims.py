"""Claims pick the right number, follow their rule, and stay undecided while their test is missing."""

import numpy as np
import pandas as pd
import pytest

from rareneurons.claims import CLAIMS, DIMENSION_CLAIM, OTHER_CLAIMS, Bounds, claims_markdown, decide
from rareneurons.tables import CLAIM_COLUMNS, CheckpointName, Estimate, measure_frame

BOUNDS = Bounds("rare", "common", 0.5, 0.8, 0.05, 0.125)


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
    found["coordination"] = pd.concat([dimension(model=model, step=step) for model in models for step in (2, 16)])
    return found


def verdicts(**given) -> dict[str, str]:
    return decide(tables_for(["a"], **given), BOUNDS).set_index("claim")["verdict"].to_dict()


def test_one_row_a_claim_and_model_at_the_last_checkpoint():
    claims = decide(tables_for(["a", "b"]), BOUNDS)
    assert list(claims.columns) == CLAIM_COLUMNS
    assert claims["claim"].tolist() == [c.name for c in CLAIMS for _ in "ab"]
    assert (claims.loc[claims["claim"] != "C3", "value"] == 1.6).all()
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
    for claim in OTHER_CLAIMS:
        assert claims.loc[claim.name, "verdict"] == "undecided"
        assert claim.missing in claims.loc[claim.name, "sentence"]


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
    tables["organization"] = frame("a", 16, "rare", "fixed_plateau", "signed_modularity", 0.25)
    assert "fixed_plateau" in decide(tables, BOUNDS).set_index("claim").loc["C4", "statistic"]


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
