"""Claims pick the right number and stay undecided while their test is missing."""

import numpy as np
import pandas as pd

from rareneurons.claims import CLAIMS, claims_markdown, decide
from rareneurons.tables import CLAIM_COLUMNS, CheckpointName, Estimate, measure_frame


def tables_for(models):
    found = {}
    for claim in CLAIMS:
        frames = [
            measure_frame(
                CheckpointName(model, f"step{step}"),
                [(claim.condition, claim.group, Estimate(claim.measure, step / 10, "unit", 5, 0.1, 0.9, 0.04))],
            )
            for model in models
            for step in (2, 16)
        ]
        found[claim.table] = pd.concat([found.get(claim.table), *frames])
    return found


def test_one_row_a_claim_and_model_at_the_last_checkpoint():
    claims = decide(tables_for(["a", "b"]))
    assert list(claims.columns) == CLAIM_COLUMNS
    assert claims["claim"].tolist() == [c.name for c in CLAIMS for _ in "ab"]
    assert (claims["value"] == 1.6).all()
    assert set(claims["verdict"]) == {"undecided"}
    assert claims["reason"].str.len().min() > 20
    assert claims["sentence"].str.contains("95 % interval 0.1 to 0.9").all()


def test_unmeasured_number_is_said():
    tables = tables_for(["a"])
    tables["spectra"] = tables["spectra"].iloc[:0]
    row = decide(tables).set_index("claim").loc["C7"]
    assert row["n"] == 0
    assert np.isnan(row["value"])
    assert "not measured" in row["reason"]


def test_markdown_has_a_section_a_claim():
    text = claims_markdown(decide(tables_for(["a"])))
    for claim in CLAIMS:
        assert f"## {claim.name}" in text
