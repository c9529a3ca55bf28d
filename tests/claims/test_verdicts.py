"""Every claim gets a row a model, at its last checkpoint, and says what is missing or left out."""

import re

import numpy as np
import pytest
from claim_tables import BOUNDS, audit_table, tables_for

from rareneurons.claims import CLAIMS, claims_markdown, decide
from rareneurons.conventions import ALL_MODELS
from rareneurons.tables import CLAIM_COLUMNS


def test_one_row_a_claim_and_model_and_one_over_the_models():
    claims = decide(tables_for(["a", "b"]), BOUNDS)
    assert list(claims.columns) == CLAIM_COLUMNS
    assert claims["claim"].tolist() == [c.name for c in CLAIMS for _ in range(3)]
    assert claims["model"].tolist() == ["a", "b", ALL_MODELS] * len(CLAIMS)
    by_model = claims[claims["model"] != ALL_MODELS].set_index("claim")
    assert (by_model.loc[["C1", "C2"], "value"] == 1.6).all(), "the last checkpoint's number"
    assert by_model.loc["C4", "value"].tolist() == pytest.approx([0.1, 0.1])
    over = claims[claims["model"] == ALL_MODELS].set_index("claim")
    assert over.loc[["C3", "C4", "C5"], "bound"].tolist() == [0, 0.1, 0.5], "means of C3 and C4, a share of C5"
    alone = decide(tables_for(["a"]), BOUNDS)
    assert alone["model"].tolist() == ["a"] * len(CLAIMS), "of one model it would say the same again"


def test_undecided_rows_alone_have_a_need_and_it_holds_a_number():
    claims = decide(tables_for(["a", "b"], power=(0.1, 0.9)), BOUNDS)
    undecided = claims["verdict"] == "undecided"
    assert 2 < undecided.sum() < len(claims)
    assert (claims.loc[~undecided, "need"] == "").all()
    assert claims.loc[undecided, "need"].str.contains(r"[0-9]").all()
    assert claims["reason"].str.startswith("rule: ").all()


def test_sentences_are_one_sentence_and_begin_with_the_verdict():
    claims = decide(tables_for(["a", "b"]), BOUNDS)
    for verdict, model, sentence in zip(claims["verdict"], claims["model"], claims["sentence"], strict=True):
        whom = "over all models" if model == ALL_MODELS else f"for {model}"
        assert sentence.startswith(f"{verdict.capitalize()} {whom}: ")
        assert len(re.findall(r"\. |\.$", sentence)) == 1
        assert len(sentence) < 450


def test_checkpoints_left_out_are_named_where_training_is_spoken_of():
    tables = tables_for(["a", "b"]) | {"audit": audit_table(["a", "b"], step1="duplicate", step8="outlier")}
    claims = decide(tables, BOUNDS).set_index(["claim", "model"])
    named = claims["reason"].str.contains("what their names say: step1 (duplicate), step8 (outlier)", regex=False)
    assert set(named[named].index) == {("C6", "a"), ("C7", "a")}
    assert "(2 here)" in claims.loc[("C6", "a"), "need"], "what is left out does not count"


def test_unmeasured_numbers_are_said():
    tables = tables_for(["a"])
    for name in ("spectra", "coordination", "organization", "attention"):
        tables[name] = tables[name].iloc[:0]
    tables["regimes"] = tables["regimes"][tables["regimes"]["measure"] != "mean_abs.test.plateau"]
    claims = decide(tables, BOUNDS).set_index("claim")
    for name in claims.index.drop("C6"):  # C6 has nothing either, but says so measure by measure
        assert claims.loc[name, "n"] == 0
        assert np.isnan(claims.loc[name, "value"])
        assert claims.loc[name, "verdict"] == "undecided"
        assert "not measured" in claims.loc[name, "reason"]
        assert claims.loc[name, "need"]
    assert "no row in tables/organization.csv" in claims.loc["C4", "sentence"]


def test_markdown_reads_claim_by_claim_and_ends_with_the_needs():
    claims = decide(tables_for(["a", "b"]), BOUNDS)
    text = claims_markdown(claims, CLAIMS)
    assert "| claim | over models | a | b |" in text
    for claim in CLAIMS:
        section = text.split(f"## {claim.name}. {claim.text}\n")[1].split("\n## ")[0]
        rows = claims[claims["claim"] == claim.name].set_index("model")
        order = [section.index(f"**{rows.loc[m, 'verdict'].capitalize()}** ") for m in (ALL_MODELS,)]
        order += [section.index(rows.loc[m, "sentence"].split(" ", 1)[1]) for m in (ALL_MODELS, "a", "b")]
        assert order == sorted(order)
        assert section.count("How it is decided") == 2, "one rule for the models and one over them"
        assert section.count("- over models: ") == 1
    needs = text.split("## What would decide the undecided\n")[1]
    undecided = claims[claims["verdict"] == "undecided"]
    assert needs.count("\n- ") == len(undecided)
    for need in undecided["need"]:
        assert need in needs
    decided = claims_markdown(claims[claims["verdict"] != "undecided"].assign(model="a").drop_duplicates("claim"), [])
    assert "## What would decide" not in decided
