"""Claims about rare-token neurons need some, and all claims of a model share one alpha."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from claim_tables import BOUNDS, VIEW, dimension_table, selectivity_table, tables_for

from rareneurons.claims import CLAIMS, View, decide
from rareneurons.conventions import SELECTIVE, TOP
from rareneurons.stats import holm

ABOUT_TOP = ["C3", "C4", "C5", "C7"]
CLEAR, VAGUE = {"matched": (0.1, 0.01)}, {"matched": (0.01, 0.02)}
NONE = {"matched": (0.0, 0.003), "difference": (0.0, -0.006, 0.006)}


def verdicts(top, selective, view: View = VIEW, p: float = 1e-5):
    """Verdicts where C3 has such a p and is about whichever neurons C8 leaves it."""
    tables = tables_for(["a"])
    parts = [dimension_table(group, "a", 16, p=p, q=p) for group in (TOP, SELECTIVE)]
    tables["coordination"] = pd.concat(parts)
    tables["joint"] = pd.concat(
        [selectivity_table(["a"], TOP, **top), selectivity_table(["a"], SELECTIVE, **selective)]
    )
    return decide(tables, view, BOUNDS).set_index("claim")


def test_where_selective_neurons_are_found_claims_are_decided_on_them():
    found = verdicts(NONE, CLEAR | {"shuffled": (0.1, 0.01)})
    assert found.loc["C8", "verdict"] == "supported"
    assert found.loc["C3", "verdict"] == "supported"
    assert f"({SELECTIVE}, rare)" in found.loc["C3", "statistic"]
    assert "the 33 most rare-selective neurons" in found.loc["C3", "sentence"]


def test_where_the_top_neurons_alone_are_found_claims_are_decided_on_them():
    found = verdicts(CLEAR, NONE)
    assert found.loc["C3", "verdict"] == "supported"
    assert f"({TOP}, rare)" in found.loc["C3", "statistic"]
    assert "C8 finds that the most influential neurons matter more" in found.loc["C3", "evidence"]


def test_where_none_are_found_with_power_no_claim_about_them_is_decided():
    found = verdicts(NONE, NONE)
    assert found.loc["C8", "verdict"] == "contradicted"
    assert (found.loc[ABOUT_TOP, "verdict"] == "undecided").all()
    assert found.loc["C3", "sentence"].startswith("Undecided for a at step16: no neurons were found that matter more")
    assert "with the result supported" in found.loc["C3", "evidence"]
    assert found.loc["C3", "value"] == pytest.approx(-0.125), "the number of the paper's neurons is given"
    assert found.loc["C3", "need"].startswith("a model or checkpoint with neurons")


def test_where_c8_is_open_a_claim_can_fail_for_the_papers_neurons_but_not_hold():
    found = verdicts(VAGUE, VAGUE)
    assert found.loc["C8", "verdict"] == "undecided"
    assert found.loc["C3", "verdict"] == "undecided"
    assert "the claim holds for the paper's neurons, but" in found.loc["C3", "sentence"]
    assert found.loc["C3", "need"] == "evidence that some neurons matter more for rare targets (see C8)"
    tables = tables_for(["a"]) | {"joint": selectivity_table(["a"], TOP, **VAGUE)}
    tables["coordination"] = dimension_table(TOP, "a", 16, value=0.57, gap=(-0.01, 0.03), q=0.9)
    assert decide(tables, VIEW, BOUNDS).set_index("claim").loc["C3", "verdict"] == "contradicted"


def test_a_view_that_names_its_neurons_asks_for_no_premise():
    found = verdicts(NONE, NONE, replace(VIEW, group=TOP))
    assert found.loc["C3", "verdict"] == "supported"
    assert "C8" not in found.loc["C3", "evidence"]


def test_p_is_adjusted_for_the_other_claims_and_shown_as_it_is():
    for p, verdict in ((0.004, "supported"), (0.04, "undecided")):
        found = verdicts(CLEAR, NONE, p=p)
        assert found.loc["C3", "verdict"] == verdict
        assert found.loc["C3", "p_value"] == p
    assert "other claims (Holm) it is 0.2" in found.loc["C3", "need"]
    alone = [claim for claim in CLAIMS if claim.name == "C3"]
    assert decide(tables_for(["a"]), VIEW, BOUNDS, alone)["verdict"].tolist() == ["supported"], "0.01, by itself"


def test_c8_that_does_not_hold_after_adjustment_selects_nothing():
    weak = {"matched": (0.022, 0.01), "shuffled": (0.022, 0.01)}
    found = verdicts({"matched": (0.0, 0.02)}, weak, p=0.9)
    assert 0.01 < found.loc["C8", "p_value"] < 0.05
    assert found.loc["C8", "verdict"] == "undecided"
    assert f"({TOP}, rare)" in found.loc["C3", "statistic"]


@pytest.mark.oracle
@pytest.mark.parametrize("power", [1, 3, 6])
def test_holm_equals_its_definition(rng, power):
    """Reject the k-th smallest of m while it is at most alpha / (m - k + 1)."""
    p = np.append(rng.random(9) ** power, np.nan)
    adjusted = holm(p)
    assert np.isnan(adjusted[-1])
    for alpha in (0.01, 0.05, 0.2, 0.6, *np.linspace(0.001, 0.99, 200)):
        rejected, order = set(), np.argsort(p[:-1])
        for k, place in enumerate(order):
            if p[place] > alpha / (9 - k):
                break
            rejected.add(int(place))
        assert rejected == set(np.flatnonzero(adjusted[:-1] <= alpha))


def test_holm_by_hand():
    np.testing.assert_allclose(holm(np.array([0.03, 0.01, 0.02, 0.5])), [0.06, 0.04, 0.06, 0.5])
