"""Verdicts on planted models, through the code of all measures."""

import pandas as pd
import pytest
from claim_tables import BOUNDS, VIEW
from planted_models import planted_run

from rareneurons.claims import CLAIMS, decide
from rareneurons.conventions import ALL_MODELS

ABOUT_TOP = ["C3", "C4", "C5", "C7"]


@pytest.fixture(scope="module")
def tables() -> dict[str, dict[str, pd.DataFrame]]:
    return {"with-all": dict(planted_run(0, True)), "with-none": dict(planted_run(0, False))}


@pytest.mark.calibration
@pytest.mark.parametrize(("model", "expected"), [("with-all", "supported"), ("with-none", "contradicted")])
def test_a_model_with_all_properties_has_them_and_one_with_none_has_none(tables, model, expected):
    """Without neurons that matter more for rare targets, claims about such neurons are undecided."""
    claims = decide(tables[model], VIEW, BOUNDS).set_index("claim")
    verdicts = dict.fromkeys([claim.name for claim in CLAIMS if not claim.secondary], expected)
    if model == "with-none":
        verdicts |= dict.fromkeys(ABOUT_TOP, "undecided")
        assert claims.loc[ABOUT_TOP, "need"].str.startswith("a model or checkpoint that has neurons").all()
        by_rule = claims.loc[ABOUT_TOP, "evidence"].str.contains("by its rule: contradicted", regex=False)
        assert by_rule.all()
    assert claims.loc[list(verdicts), "verdict"].to_dict() == verdicts
    routing = claims.loc["C5"]  # config.yaml gives these as the reason for its bound
    assert routing["ci_high"] < 0.1 if model == "with-all" else routing["ci_low"] > 0.8
    top = "plateau neurons" if model == "with-all" else "the 33 most influential neurons"
    assert claims.loc[ABOUT_TOP, "sentence"].str.contains(top, regex=False).all()
    fixed_cut = claims.loc[ABOUT_TOP, "evidence"].str.contains("no plateau is declared", regex=False)
    assert (fixed_cut == (model == "with-none")).all()


@pytest.mark.calibration
def test_over_two_models_of_which_one_has_all_and_one_none_nothing_holds(tables):
    both = {name: pd.concat([each[name] for each in tables.values()]) for name in tables["with-all"]}
    claims = decide(both, VIEW, BOUNDS)
    over = claims[claims["model"] == ALL_MODELS].set_index("claim")
    assert (over["verdict"] == "undecided").all()
    opposed = over.loc[["C1", "C2", "C8", "C6"], "need"]
    assert opposed.str.contains("between with-all (supported) and with-none (contradicted)", regex=False).all()
    assert over.loc[ABOUT_TOP, "need"].str.contains("for at least 4 that agree", regex=False).all()
