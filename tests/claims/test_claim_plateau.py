"""C1 and C2 follow the plateau test and its power."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from claim_tables import BOUNDS, VIEW, frame, tables_for

from rareneurons.claims import decide


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
def test_plateau_claims_follow_the_test_and_its_power(plateau, power, expected):
    found = verdicts(plateau=plateau, power=power)
    assert (found["C1"], found["C2"]) == expected


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
    assert row["p_value"] == pytest.approx(1), "0.4 over five checkpoints: 5 % against the test's 1 %"
    assert "no plateau can be distinguished from chance" in row["sentence"]
    assert row["sentence"].endswith(
        "but the test would find only 30 % of planted plateaus, and a negative result counts only if the test's power "
        "is at least 80 %."
    )
    assert row["power"] == 0.3
    assert "at most 0.5 of the power law's" in row["rule"]
    assert "5 checkpoints that regimes.alpha allows for (Bonferroni)" in row["rule"]
    assert "there is no plateau" in c1(0.9)["sentence"]
    found = decide(tables_for(["a"], plateau=(1, 0)), VIEW, BOUNDS).set_index("claim").loc["C1"]
    assert found["p_value"] == pytest.approx(0.015)
    assert "there is a plateau: the most influential neurons fall off 1.6 times as steeply" in found["sentence"]


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
