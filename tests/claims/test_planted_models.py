"""Verdicts on planted models, through the code of all measures.

Counts over 20 seeds are in docs/methods.md; the seed here is none of these.
"""

import numpy as np
import pandas as pd
import pytest
from claim_tables import BOUNDS, VIEW
from planted_models import ABOUT_TOP, RIGHT, is_right, planted_run, table_of_counts

from rareneurons.claims import decide
from rareneurons.conventions import ALL_MODELS, SELECTIVE

SEED = 7
ABOUT_TOP = list(ABOUT_TOP)
SAYS_WHY = "no power: |power unknown|not measured: "


@pytest.fixture(scope="module")
def tables() -> dict[str, dict[str, pd.DataFrame]]:
    return {model: dict(planted_run(SEED, model)) for model in RIGHT}


@pytest.fixture(scope="module")
def claims(tables) -> dict[str, pd.DataFrame]:
    return {model: decide(mine, VIEW, BOUNDS).set_index("claim") for model, mine in tables.items()}


@pytest.mark.calibration
@pytest.mark.parametrize("model", RIGHT)
def test_every_verdict_on_a_planted_model_is_right(claims, model):
    verdicts = claims[model].loc[list(RIGHT[model]), "verdict"].to_dict()
    assert is_right(model, verdicts), verdicts


@pytest.mark.calibration
def test_without_selective_neurons_claims_about_them_say_what_they_lack(claims):
    found = claims["with-none"].loc[ABOUT_TOP]
    assert found["need"].str.startswith("a model or checkpoint with neurons").all()
    assert found.loc[["C4", "C5"], "evidence"].str.contains("with the result contradicted", regex=False).all()
    assert not found["evidence"].str.contains("with the result supported", regex=False).any()


@pytest.mark.calibration
@pytest.mark.parametrize("model", ["with-all", "with-none"])
def test_sentences_name_the_neurons_and_routing_is_far_from_its_bound(claims, model):
    routing = claims[model].loc["C5"]  # config.yaml gives these as the reason for its bound
    assert routing["ci_high"] < 0.2 if model == "with-all" else routing["ci_low"] > 0.8
    top = "plateau neurons" if model == "with-all" else "the 33 most influential neurons"
    assert claims[model].loc[ABOUT_TOP, "sentence"].str.contains(top, regex=False).all()
    fixed_cut = claims[model].loc[ABOUT_TOP, "evidence"].str.contains("no plateau is declared", regex=False)
    assert (fixed_cut == (model == "with-none")).all()


@pytest.mark.calibration
def test_specialists_that_share_nothing_are_the_selective_neurons(claims):
    about = claims["selective"].loc[["C8", "C3"], "statistic"]
    assert about.str.contains(f"({SELECTIVE}, ", regex=False).all()


@pytest.mark.calibration
def test_every_row_has_power_or_says_why_not(tables, claims):
    """Also over models, of which one has all properties and one none, so that nothing holds."""
    two = [tables["with-all"], tables["with-none"]]
    over = decide({name: pd.concat([each[name] for each in two]) for name in two[0]}, VIEW, BOUNDS)
    for each in (*claims.values(), over):
        says_why = each["evidence"].str.contains(SAYS_WHY)
        assert (np.isfinite(each["power"]) != says_why).all(), each.loc[np.isfinite(each["power"]) == says_why]
    over = over[over["model"] == ALL_MODELS].set_index("claim")
    assert (over["verdict"] == "undecided").all()
    opposed = over.loc[["C1", "C2", "C8", "C6"], "need"]
    assert opposed.str.contains("between with-all (supported) and with-none (contradicted)", regex=False).all()
    assert over.loc[ABOUT_TOP, "need"].str.contains("for at least 4 that agree", regex=False).all()


def test_counts_say_how_many_seeds_are_right():
    right = {claim: verdicts[0] for claim, verdicts in RIGHT["loud"].items()}
    text = table_of_counts({"loud": [right, right | {"C8": "supported"}]})
    assert "| C8 | contradicted 1, supported 1 |" in text
    assert "| all right | 1 of 2 |" in text
