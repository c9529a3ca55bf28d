"""How firm verdicts are: the same numbers give the same verdicts, others do not, and nothing is left out silently."""

import sys

import numpy as np
import pandas as pd
import pytest
from conftest import PROJECT

from rareneurons.claims import decide, decisions_by_model
from rareneurons.claims.firmness import Firmness, firmness_by_claim
from rareneurons.claims.sentences import firmness_sentence
from rareneurons.claims.verdicts import decisions_on
from rareneurons.claims.view import tables_of
from rareneurons.comparison.choices import MEASURED_TABLES, RECOMPUTED, Choice, untouched
from rareneurons.comparison.firmness import COLUMNS, TOO_FEW, firmness_of_verdicts
from rareneurons.stats import holm

sys.path.append(str(PROJECT / "tests/claims"))
from claim_tables import BOUNDS, VIEW, tables_for

SWAPPED = Choice("swapped split", RECOMPUTED, kind="firmness", split="swapped")
HALF = Choice("half the documents", RECOMPUTED, kind="firmness", half_documents=True)
BAND = Choice("other band", RECOMPUTED, kind="firmness", why_not="there is no other")
NOT_MEASURED = {"C5", "C6", "C7"}


@pytest.fixture
def tables():
    found = tables_for(["a", "b"], plateau=(1, 0))
    found["coordination"]["p_value"] /= 5  # C3 is supported after adjustment
    return found


def as_measured(tables, choice):
    """The run's own rows at the last checkpoint as if they had been measured under a choice."""
    last = [tables[name][tables[name]["step"] == 16].assign(table=name) for name in MEASURED_TABLES]
    return pd.concat(last, ignore_index=True).assign(choice=choice.name, split="heldout")


def test_the_same_numbers_give_the_same_verdicts(tables):
    found = firmness_of_verdicts(tables, as_measured(tables, HALF), [HALF], VIEW, BOUNDS)
    assert list(found) == COLUMNS
    assert set(found["claim"]) == {"C1", "C2", "C3", "C4", "C5", "C6", "C7", "C8"}
    own = found[found["choice"] == "own"].set_index(["claim", "model"])
    expected = decide(tables, VIEW, BOUNDS).set_index(["claim", "model"]).loc[own.index]
    half = found[(found["choice"] == HALF.name) & found["claim"].isin(RECOMPUTED)].set_index(["claim", "model"])
    numbers = ["statistic", "value", "ci_low", "ci_high", "p_value", "n", "power", "verdict"]
    pd.testing.assert_frame_equal(own[numbers], expected[numbers], check_dtype=False)
    pd.testing.assert_frame_equal(half[numbers], expected.loc[half.index, numbers], check_dtype=False)
    assert set(half["verdict"]) >= {"supported"}
    assert not found["changed"].any()
    left = found[(found["choice"] == HALF.name) & found["claim"].isin(NOT_MEASURED)]
    assert len(left) == 6
    assert left["verdict"].eq("not computed").all()
    assert left["reason"].ne("").all()


def test_other_numbers_give_another_verdict_and_are_counted(tables):
    swapped = as_measured(tables, SWAPPED)
    swapped.loc[(swapped["table"] == "coordination") & (swapped["model"] == "b"), "p_value"] = 0.9
    measured = pd.concat([as_measured(tables, HALF), swapped])
    found = firmness_of_verdicts(tables, measured, [HALF, SWAPPED], VIEW, BOUNDS)
    changed = found[found["changed"]]
    assert changed[["claim", "model", "choice", "own_verdict", "verdict"]].to_numpy().tolist() == [
        ["C3", "b", "swapped split", "supported", "undecided"]
    ]
    firm = firmness_by_claim(found)
    assert firm["C3", "a"] == Firmness(2, {})
    assert firm["C3", "b"] == Firmness(2, {"swapped split": "undecided"})
    assert firm["C5", "b"] == Firmness(0, {})


def test_what_a_choice_is_not_made_for_says_why(tables):
    measured = as_measured(tables, HALF)
    found = firmness_of_verdicts(tables, measured[measured["model"] == "a"], [HALF, BAND], VIEW, BOUNDS)
    by_place = found.set_index(["choice", "claim", "model"])
    assert set(found.loc[found["choice"] == "other band", "reason"]) == {"there is no other"}
    assert by_place.loc[(HALF.name, "C3", "b"), ["verdict", "reason"]].tolist() == ["not computed", TOO_FEW]
    assert by_place.loc[(HALF.name, "C3", "a"), "verdict"] == "supported"
    assert len(found) == 3 * 8 * 2  # every choice, claim and model


def test_a_number_that_is_not_measured_says_why(tables):
    measured = as_measured(tables, HALF)
    here = measured["table"] == "coordination"
    measured.loc[here, ["value", "p_value"]] = np.nan
    measured.loc[here, "reason"] = "2 neurons, at least 3 are needed"
    found = firmness_of_verdicts(tables, measured, [HALF], VIEW, BOUNDS).set_index(["choice", "claim", "model"])
    assert "2 neurons" in found.loc[(HALF.name, "C3", "a"), "reason"]


def test_the_untrained_model_is_compared_with_only_where_the_run_does(tables):
    measured = as_measured(tables, HALF)
    beyond = measured[measured["table"] == "joint"].assign(table="dynamics", against="untrained", quantity="excess")
    beyond = beyond.assign(value=-0.5, ci_low=-0.6, ci_high=-0.4, p_value=1e-9)
    measured = pd.concat([measured, beyond], ignore_index=True)
    found = firmness_of_verdicts(tables, measured, [HALF], VIEW, BOUNDS)
    assert not found["changed"].any()
    tables["dynamics"] = beyond[tables["regimes"].columns].assign(value=0.5, ci_low=0.4, ci_high=0.6)
    found = firmness_of_verdicts(tables, measured, [HALF], VIEW, BOUNDS)
    assert {"C8"} <= set(found.loc[found["changed"], "claim"])


@pytest.mark.oracle
def test_claims_that_a_choice_does_not_touch_count_in_the_adjustment(tables):
    """As if the choice had tested them, too; without them the p of the others would be adjusted less."""
    own = decisions_by_model(tables, VIEW, BOUNDS)
    choice = Choice("C3 and C8 alone", ("C3", "C8"))
    kept = untouched(choice, own)["a"]
    mine = tables_of("a", tables) | {
        "attention": tables["attention"].iloc[:0],
        "organization": tables["organization"].iloc[:0],
    }
    found = decisions_on(mine, VIEW, BOUNDS, kept=kept)
    claims = [claim for claim in own["a"] if not claim.startswith("P")]
    p_values = holm(np.array([own["a"][claim].p_value for claim in claims]))
    assert found["C3"].adjusted_p == pytest.approx(p_values[claims.index("C3")])
    assert found["C3"].adjusted_p > decisions_on(mine, VIEW, BOUNDS)["C3"].adjusted_p
    assert all(found[claim] is decision for claim, decision in kept.items())


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (Firmness(0, {}), "No other choice was computed for this verdict."),
        (Firmness(7, {}), "7 of 7 other choices give the same verdict."),
        (Firmness(2, {"x": "undecided"}), "1 of 2 other choices gives the same verdict (undecided with x)."),
        (
            Firmness(7, {"x": "undecided", "y": "contradicted"}),
            "5 of 7 other choices give the same verdict (undecided with x, contradicted with y).",
        ),
    ],
)
def test_firmness_in_words(found, text):
    assert firmness_sentence(found) == text
