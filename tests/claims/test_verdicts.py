"""Every claim gets a row a model, at its last checkpoint, and says what is missing or left out."""

import re

import numpy as np
import pandas as pd
import pytest
from claim_tables import BOUNDS, VIEW, audit_table, tables_for

from rareneurons.claims import CLAIMS, TITLES, claims_markdown, decide, verdicts
from rareneurons.claims.sentences import HOLM, WORDING
from rareneurons.conventions import ALL_MODELS
from rareneurons.tables import CLAIM_COLUMNS


def test_one_row_a_claim_and_model_and_one_over_the_models():
    claims = decide(tables_for(["a", "b"]), VIEW, BOUNDS)
    assert list(claims.columns) == CLAIM_COLUMNS
    assert claims["claim"].tolist() == [c.name for c in CLAIMS for _ in range(3)]
    assert claims["model"].tolist() == ["a", "b", ALL_MODELS] * len(CLAIMS)
    by_model = claims[claims["model"] != ALL_MODELS].set_index("claim")
    assert (by_model.loc["C1", "value"] == 1.6).all(), "the last checkpoint's number"
    assert by_model.loc["C4", "value"].tolist() == pytest.approx([0.02, 0.02])
    over = claims[claims["model"] == ALL_MODELS].set_index("claim")
    assert over.loc[["C3", "C4", "C5"], "bound"].tolist() == [0, 0.05, 0.5], "means of C3 and C4, a share of C5"
    assert np.isfinite(by_model.loc[["C1", "C2", "C5", "C8"], "power"]).all()
    assert by_model.loc[["C3", "C6", "C7"], "power"].isna().all()
    alone = decide(tables_for(["a"]), VIEW, BOUNDS)
    assert alone["model"].tolist() == ["a"] * len(CLAIMS), "of one model it would say the same again"


def test_seeds_of_a_kind_of_model_have_a_row_together():
    claims = decide(tables_for(["a1", "a2", "b"]), VIEW, BOUNDS, replicate_of={"a1": "a", "a2": "a"})
    assert claims["model"].tolist() == ["a1", "a2", "b", "a", ALL_MODELS] * len(CLAIMS)
    over = claims[claims["model"] == ALL_MODELS].set_index("claim")
    assert (over.loc[["C1", "C5"], "n"] == 2).all(), "kinds, not models"
    assert "over the 2 seeds of a: " in claims_markdown(claims)


def test_rules_name_the_adjustment_exactly_where_a_verdict_rests_on_an_adjusted_p():
    said = {claim: HOLM in wording.rule(VIEW, BOUNDS) for claim, wording in WORDING.items()}
    assert said == {claim.name: bool(claim.rests_on_p) and not claim.secondary for claim in CLAIMS}


def test_undecided_rows_alone_say_what_would_decide_them_with_a_number():
    claims = decide(tables_for(["a", "b"], power=(0.1, 0.9)), VIEW, BOUNDS)
    undecided = claims["verdict"] == "undecided"
    assert 2 < undecided.sum() < len(claims)
    assert (claims.loc[~undecided, "need"] == "").all()
    measured = ~claims["sentence"].str.contains(
        "was not measured", regex=False
    )  # the tables have no groups without types
    assert claims.loc[undecided & measured, "need"].str.contains(r"[0-9]").all()
    assert (claims["rule"].str.len() > 0).all()
    assert (claims["evidence"].str.len() > 0).all()


def test_sentences_are_one_sentence_and_begin_with_the_verdict():
    claims = decide(tables_for(["a", "b"]), VIEW, BOUNDS)
    for verdict, model, sentence in zip(claims["verdict"], claims["model"], claims["sentence"], strict=True):
        about = "over all models" if model == ALL_MODELS else f"for {model} at step16"
        assert sentence.startswith(f"{verdict.capitalize()} {about}: ")
        assert len(re.findall(r"\. |\.$", sentence)) == 1
        assert len(sentence) < 450


def test_checkpoints_left_out_are_named_where_training_is_spoken_of():
    tables = tables_for(["a", "b"]) | {"audit": audit_table(["a", "b"], step1="duplicate", step8="outlier")}
    claims = decide(tables, VIEW, BOUNDS).set_index(["claim", "model"])
    named = claims["evidence"].str.contains("what their names say: step1 (duplicate), step8 (outlier)", regex=False)
    assert set(named[named].index) == {("C6", "a"), ("C7", "a")}
    assert "(2 here)" in claims.loc[("C6", "a"), "need"], "what is left out does not count"


def test_verdict_and_numbers_do_not_depend_on_words(monkeypatch):
    tables = tables_for(["a", "b"])
    with_words = decide(tables, VIEW, BOUNDS)
    monkeypatch.setattr(verdicts, "claim_texts", lambda *_: {})
    without = decide(tables, VIEW, BOUNDS)
    numbers = ["claim", "model", "value", "ci_low", "ci_high", "p_value", "n", "power", "bound", "verdict"]
    pd.testing.assert_frame_equal(with_words[numbers], without[numbers])


def test_every_claim_has_words_and_no_words_lack_a_claim():
    assert list(WORDING) == [claim.name for claim in CLAIMS]


def test_unmeasured_numbers_are_said():
    tables = tables_for(["a"])
    for name in ("spectra", "coordination", "organization", "attention", "joint"):
        tables[name] = tables[name].iloc[:0]
    tables["regimes"] = tables["regimes"][tables["regimes"]["measure"] != "plateau"]
    claims = decide(tables, VIEW, BOUNDS).set_index("claim")
    for name in claims.index.drop("C6"):  # C6 has nothing either, but says so measure by measure
        assert claims.loc[name, "n"] == 0
        assert np.isnan(claims.loc[name, "value"])
        assert claims.loc[name, "verdict"] == "undecided"
        assert "not measured" in claims.loc[name, "evidence"]
        assert claims.loc[name, "need"]
    assert "no row of this group in tables/organization.csv" in claims.loc["C4", "sentence"]


def test_markdown_says_how_firm_each_verdict_is():
    claims = decide(tables_for(["a", "b"]), VIEW, BOUNDS)
    place = {"claim": "C3", "model": "b"}
    rows = [{"choice": "own", "verdict": "undecided"}, {"choice": "x", "verdict": "supported", "changed": True}]
    text = claims_markdown(claims, pd.DataFrame([{"changed": False} | place | row for row in rows]))
    sentence = claims.set_index(["claim", "model"]).loc[("C3", "b"), "sentence"]
    assert text.count("other choices") == 1
    assert f"{sentence} 0 of 1 other choices give the same verdict (supported with x)." in text


def test_markdown_reads_claim_by_claim_and_ends_with_what_would_decide():
    claims = decide(tables_for(["a", "b"]), VIEW, BOUNDS)
    text = claims_markdown(claims)
    assert "| claim | over models | a | b |" in text
    for claim in CLAIMS:
        section = text.split(f"## {claim.name}. {TITLES[claim.name]}\n")[1].split("\n## ")[0]
        rows = claims[claims["claim"] == claim.name].set_index("model")
        lines = [f"- **{rows.loc[m, 'verdict']}**: {rows.loc[m, 'sentence']}\n" for m in (ALL_MODELS, "a", "b")]
        order = [section.index(line) for line in lines]
        assert order == sorted(order)
        assert section.count("How it is decided") == 2, "one rule for the models and one over them"
        assert section.count("- over models: ") == 1
    needs = text.split("## What would decide the undecided claims\n")[1]
    undecided = claims[claims["verdict"] == "undecided"]
    assert needs.count("\n- ") == len(undecided)
    for need in undecided["need"]:
        assert need in needs
    decided = claims_markdown(claims[claims["verdict"] != "undecided"].assign(model="a").drop_duplicates("claim"))
    assert "## What would decide" not in decided
