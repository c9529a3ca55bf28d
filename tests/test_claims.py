"""Claims pick the right number, follow their rule, and stay undecided while their test is missing."""

import numpy as np
import pandas as pd
import pytest

from rareneurons.claims import CLAIMS, OTHER_CLAIMS, Bounds, claims_markdown, decide
from rareneurons.tables import CLAIM_COLUMNS, CheckpointName, Estimate, measure_frame

BOUNDS = Bounds("rare", "common", 0.5, 0.8)


def frame(model, step, condition, group, measure, value, p=0.04):
    return measure_frame(
        CheckpointName(model, f"step{step}"), [(condition, group, Estimate(measure, value, "unit", 5, 0.1, 0.9, p))]
    )


def tables_for(models, plateau=(0, 0), power=(0.9, 0.9)):
    """Every claim's number at two steps; ``plateau`` and ``power`` for rare and common at the last one."""
    found = {}
    for claim in CLAIMS:
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
    return found


def verdicts(**given) -> dict[str, str]:
    return decide(tables_for(["a"], **given), BOUNDS).set_index("claim")["verdict"].to_dict()


def test_one_row_a_claim_and_model_at_the_last_checkpoint():
    claims = decide(tables_for(["a", "b"]), BOUNDS)
    assert list(claims.columns) == CLAIM_COLUMNS
    assert claims["claim"].tolist() == [c.name for c in CLAIMS for _ in "ab"]
    assert (claims["value"] == 1.6).all()
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


def test_the_fixed_plateau_stands_in_where_none_is_fitted():
    tables = tables_for(["a"])
    tables["coordination"] = frame("a", 16, "rare", "fixed_plateau", "effective_dimension", 0.25)
    row = decide(tables, BOUNDS).set_index("claim").loc["C3"]
    assert row["value"] == 0.25
    assert "fixed_plateau" in row["statistic"]


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
