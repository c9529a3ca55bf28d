"""C1 and C2 follow the plateau test and its power."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from claim_tables import BOUNDS, VIEW, frame, reading_table, tables_for

from rareneurons.claims import decide, sentences
from rareneurons.claims.plateau import decide_common_curve, decide_three_phases, decide_two_regimes
from rareneurons.claims.requirements import MoreDocuments, Option
from rareneurons.claims.view import tables_of
from rareneurons.tables import CheckpointName, Estimate, measure_frame


def verdicts(**given) -> dict[str, str]:
    return decide(tables_for(["a"], **given), VIEW, BOUNDS).set_index("claim")["verdict"].to_dict()


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
def test_c1_follows_the_test_and_its_power_and_c2_the_difference(plateau, power, expected):
    found = verdicts(plateau=plateau, power=power)
    assert (found["C1"], found["C2"]) == expected


@pytest.mark.parametrize(
    ("plateau", "difference", "reading", "expected"),
    [
        ((1, 0), -0.3, "flat", "supported"),
        ((1, 0), -0.24, "flat", "undecided"),  # clear of zero, but less than the margin of 0.25
        ((1, 0), -0.1, "flat", "contradicted"),
        ((1, 0), 0.3, "flat", "contradicted"),
        ((1, 1), -0.9, "flat", "undecided"),  # common rows have a plateau of their own
        ((0, 0), -0.9, "flat", "undecided"),  # rare rows have none that common rows could lack
        ((1, 0), 0.6, "excess", "supported"),
        ((1, 0), -0.6, "excess", "contradicted"),
        ((0, 1), -0.6, "excess", "contradicted"),
    ],
)
def test_c2_rests_on_the_difference_and_its_premise(plateau, difference, reading, expected):
    tables = tables_for(["a"], plateau=plateau)
    regimes = tables["regimes"]
    kept = regimes[~((regimes["measure"] == "plateau") & (regimes["part"] != "test"))]
    kept = kept[kept["condition"] != "rare-common"]
    tables["regimes"] = pd.concat([kept, reading_table("a", plateau, difference, reading)])
    row = decide(tables, VIEW, BOUNDS).set_index("claim").loc["C2"]
    assert row["verdict"] == expected
    assert row["value"] == difference
    assert row["power"] == 0.7
    assert "primary test: the paired difference rare - common" in row["rule"]
    if not any(plateau):
        assert "a plateau is found neither on rare rows nor on common rows" in row["sentence"]
        assert "a plateau on rare rows" in row["need"]


def c1(power: float, **simulated: float) -> pd.Series:
    """C1 without a plateau, and with powers simulated for multiples of documents and neurons."""
    tables = tables_for(["a"], power=(power, 0.9))
    more = [frame("a", 16, "rare", "boost", "power", name, value) for name, value in simulated.items()]
    neurons = frame("a", 16, "rare", "boost", "n_neurons", "", 250)
    tables["regimes"] = pd.concat([tables["regimes"], neurons, *more])
    return decide(tables, VIEW, BOUNDS).set_index("claim").loc["C1"]


def test_plateau_rows_say_rule_adjusted_p_and_power():
    row = c1(0.3)
    assert row["bound"] == 0.5
    assert row["p_value"] == pytest.approx(1), "0.2 over two readings and five checkpoints: 5 % against the test's 1 %"
    assert "no plateau can be distinguished from chance" in row["sentence"]
    assert row["sentence"].endswith(
        "but the test would find only 30 % of planted plateaus, and a negative result requires at least 80 %."
    )
    assert row["power"] == 0.3
    assert "at most 0.5 of the power law's" in row["rule"]
    assert "a factor of at least 1.5" in row["rule"]
    assert "p is adjusted for both and for the 5 checkpoints that regimes.alpha allows for (Bonferroni)" in row["rule"]
    assert "there is no plateau" in c1(0.9)["sentence"]
    found = decide(tables_for(["a"], plateau=(1, 0)), VIEW, BOUNDS).set_index("claim").loc["C1"]
    assert found["p_value"] == pytest.approx(2 * 5 * 0.0015)
    assert "there is a plateau, a flat top: the top neurons fall off 1.6 times as steeply" in found["sentence"]


def test_power_of_planted_plateaus_is_told_by_reading_and_size():
    row = c1(0.3, flat_10=0.1, flat_33=0.3, excess_10=0.5, excess_33=0.95)
    assert row["evidence"].endswith(
        "power to find a flat top of 10 neurons 10 %, 33 neurons 30 %; excess over the power law of 10 neurons 50 %, "
        "33 neurons 95 %"
    )
    assert "power unknown: `regimes.power_draws` is 0" in c1(np.nan)["evidence"]


@pytest.mark.parametrize(
    ("plateau", "power", "drift", "decay", "expected"),
    [
        ((1, 0), 0.1, (0.0, -0.4, 0.4), (4.0, 3.0, 5.0), "supported"),
        ((1, 0), 0.1, (0.0, -0.4, 0.6), (4.0, 3.0, 5.0), "undecided"),
        ((1, 0), 0.1, (1.0, 0.6, 1.4), (4.0, 3.0, 5.0), "contradicted"),
        ((1, 0), 0.1, (0.0, -0.4, 0.4), (1.0, 0.7, 1.3), "contradicted"),
        ((0, 0), 0.9, (0.0, -0.4, 0.4), (4.0, 3.0, 5.0), "contradicted"),
        ((0, 0), 0.1, (0.0, -0.4, 0.4), (4.0, 3.0, 5.0), "undecided"),
    ],
)
def test_three_phases_need_all_three(plateau, power, drift, decay, expected):
    tables = tables_for(["a"], plateau=plateau, power=(power, 0.9))
    numbers = {"exponent_drift": drift, "decay_steepness": decay}
    middle = [
        ("rare", "boost", Estimate(name, value, "u", 5, low, high, 0.3, part="middle"))
        for name, (value, low, high) in numbers.items()
    ]
    tables["regimes"] = pd.concat([tables["regimes"], measure_frame(CheckpointName("a", "step16"), middle)])
    last = tables_of("a", tables)
    decision = decide_three_phases(last, VIEW, BOUNDS)
    assert decision.verdict == expected
    assert (decision.number.value, decision.power) == (drift[0], power)
    words = sentences.WORDING["P1b"]
    assert f"drift is {drift[0]:.2g}" in words.finding(decision, VIEW)
    assert "three phases" in words.rule(VIEW, BOUNDS)
    assert "drift of the exponent" in words.statistic(decision.statistic)
    assert "plateau among the boost neurons" in words.evidence(decision, VIEW)
    if expected == "undecided":
        assert sentences.options_text(decision.options)


def test_numbers_without_an_interval_ask_for_one_once():
    unknown = MoreDocuments(float("nan"), "heldout")
    other = MoreDocuments(float("nan"), "heldout")
    once = sentences.options_text((Option((unknown,)),))
    assert sentences.options_text((Option((unknown, other)),)) == once


def test_two_regimes_are_decided_by_the_difference():
    for plateau in ((1, 0), (0, 1), (0, 0)):
        last = tables_of("a", tables_for(["a"], plateau=plateau))
        two, c2 = (rule(last, VIEW, BOUNDS) for rule in (decide_two_regimes, decide_common_curve))
        assert (two.verdict, two.number) == (c2.verdict, c2.number)
        assert sentences.WORDING["P2"].finding(two, VIEW)


def test_need_is_what_simulations_found_enough():
    assert c1(0.3, documents_4=0.8)["need"].startswith("4 times as many documents (80 %")
    by_documents = c1(0.3, documents_16=0.85, documents_4=0.5)["need"]
    assert by_documents == "16 times as many documents (85 % of planted plateaus found in simulations)"
    by_neurons = c1(0.3, documents_4=0.5, documents_16=0.4, neurons_2=0.7, neurons_4=0.9)["need"]
    assert by_neurons.startswith("a last MLP 4 times as wide as the one with 250 boost neurons here (90 % of planted")
    assert by_neurons.endswith(
        "16 times as many documents (40 % of planted plateaus found in simulations) would not be enough"
    )
    neither = c1(0.3, documents_16=0.4, neurons_8=0.7)["need"]
    assert neither.startswith("more than 16 times as many documents (40 %")
    assert " or a last MLP 8 times as wide" in neither
    assert "regimes.power_draws" in c1(np.nan)["need"]
    assert c1(0.9)["need"] == ""


def test_a_curve_too_short_to_fit_needs_more_neurons():
    tables = tables_for(["a"])
    tables["regimes"] = frame("a", 16, "rare", "boost", "n_neurons", "", 60)
    row = decide(tables, VIEW, BOUNDS).set_index("claim").loc["C1"]
    assert row["verdict"] == "undecided"
    assert "a curve of 60 boost neurons is too short to be fitted" in row["sentence"]
    assert row["need"] == "a last MLP with at least 100 boost neurons"


def test_fixed_cuts_call_a_plateau_without_a_test():
    tables = tables_for(["a"])
    rows = [("plateau", 1.0, np.nan), ("flatness", 0.3, np.nan)]
    fixed = [frame("a", 16, "rare", "boost", measure, "fixed", value, p) for measure, value, p in rows]
    tables["regimes"] = pd.concat([tables["regimes"], *fixed])
    row = decide(tables, replace(VIEW, group="top_33"), BOUNDS).set_index("claim").loc["C1"]
    assert (row["verdict"], row["value"]) == ("supported", 0.3)
    assert np.isnan(row["p_value"])
    assert "without a test" in row["rule"]
    assert "p = " not in row["sentence"] + row["evidence"]
