"""Every claim gets a row a model, at its last checkpoint, and says what is missing or left out."""

import numpy as np
import pytest
from claim_tables import BOUNDS, audit_table, tables_for

from rareneurons.claims import CLAIMS, claims_markdown, decide
from rareneurons.tables import CLAIM_COLUMNS


def test_one_row_a_claim_and_model_at_the_last_checkpoint():
    claims = decide(tables_for(["a", "b"]), BOUNDS)
    assert list(claims.columns) == CLAIM_COLUMNS
    assert claims["claim"].tolist() == [c.name for c in CLAIMS for _ in "ab"]
    by_rule = claims["claim"].isin(["C3", "C4", "C5", "C6", "C7"])
    assert (claims.loc[~by_rule, "value"] == 1.6).all()
    assert claims.loc[claims["claim"] == "C4", "value"].tolist() == pytest.approx([0.1, 0.1])
    assert claims.loc[claims["claim"] == "C3", "sentence"].str.contains("at step16").all()
    assert claims["reason"].str.len().min() > 20


def test_checkpoints_left_out_are_named_where_training_is_spoken_of():
    tables = tables_for(["a", "b"]) | {"audit": audit_table(["a", "b"], step1="duplicate", step8="outlier")}
    claims = decide(tables, BOUNDS).set_index(["claim", "model"])
    named = claims["sentence"].str.contains("what their names say: step1 (duplicate), step8 (outlier).", regex=False)
    assert set(named[named].index) == {("C6", "a"), ("C7", "a")}
    assert claims["reason"].str.contains("step8 (outlier)", regex=False).equals(named)


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
