"""A head built to route is named, and only that; without it nothing is."""

import numpy as np
import pytest
from planted_head import HEAD, named_heads, planted_groups, planted_model, planted_text

from rareneurons.attention.estimates import AttentionEvidence, AttentionSettings, attention_estimates
from rareneurons.tables import CheckpointName, rows_of

SETTINGS = AttentionSettings(10, 8, 19, 8, 300, 199, 0.05)


@pytest.mark.calibration
def test_the_planted_head_and_no_other_is_named():
    """On the screened path; ``python tests/planted_head.py`` counts more seeds."""
    found = [named_heads(seed, True, alpha=0.01) for seed in range(4)]
    assert [named for named, _ in found] == [[HEAD]] * 4
    assert max(n for _, n in found) < 8, "heads are screened out"


@pytest.mark.calibration
def test_without_the_head_there_is_no_routing():
    found = [named_heads(1000 + seed, False) for seed in range(10)]
    assert sum(named == [] for named, _ in found) >= 9


@pytest.fixture(scope="module", params=[True, False], ids=["planted", "without"])
def tables(request):
    blocks, rows = planted_text(0)
    evidence = AttentionEvidence(
        CheckpointName("planted", "step1"),
        ("rare", "common"),
        rows,
        architecture=planted_model(0, request.param),
        blocks=blocks,
    )
    found = attention_estimates(evidence, planted_groups(0), SETTINGS, np.random.default_rng(0))
    return request.param, found.table, found.products["heads"]


def number(table, measure, part, against="", condition="rare-common"):
    found = rows_of(table, measure, part, against=against)
    found = found[(found["condition"] == condition) & (found["group"] == "plateau")]
    assert len(found) == 1
    return found.iloc[0]


def test_tables_name_the_head_with_interval_and_p(tables):
    planted, table, heads = tables
    for kind in ("mean", "zero", "bos"):
        assert number(table, "routing_heads", kind)["value"] == planted
        mine = heads[heads["condition"] == "rare-common"]
        selectivity = rows_of(mine, "selectivity", kind, against="")
        routing = rows_of(mine, "routing", kind, against="matched")
        if planted:
            one, more = (
                part[(part["layer"] == HEAD[0]) & (part["head"] == HEAD[1])].iloc[0] for part in (selectivity, routing)
            )
            assert one["ci_low"] > 0
            assert more["ci_low"] > 0
            assert max(one["p_value"], one["q_value"], more["p_value"]) < 0.01
            share = rows_of(mine, "routing_share", kind, against="matched").set_index(["layer", "head"])
            largest = number(table, "largest_routing_share", kind, "matched")
            for column in ("value", "ci_low", "p_value"):
                assert largest[column] == share.loc[HEAD, column]
            assert largest["ci_high"] == share["ci_high"].max()
            assert 0.7 < largest["ci_low"] < largest["value"] <= 1
            assert routing["value"].drop_duplicates().nlargest(2).iloc[1] < 0.2 * more["value"]


def test_influence_of_the_planted_head_is_concentrated(tables):
    planted, table, _ = tables
    gini = number(table, "gini", "mean", "matched", "rare")
    if planted:
        assert gini["value"] > gini["null_high"]
        assert gini["p_value"] < 0.01
        assert number(table, "gini", "mean", "permuted", "rare")["p_value"] < 0.01
        assert number(table, "largest_head_share", "mean", condition="rare")["value"] > 0.5
    else:
        assert gini["p_value"] > 0.01


def test_only_the_planted_head_is_mediated_by_the_group(tables):
    """Its message has no other way to the loss than the chosen neurons, which alone read it."""
    planted, _, heads = tables
    rare = rows_of(heads[heads["condition"] == "rare"], "mediated_share", "mean", against="matched")
    share = rare.set_index(["layer", "head"])["value"]
    if planted:  # the rest passes through the scales of the norms
        assert share[HEAD] > 0.8
        assert rare.set_index(["layer", "head"]).loc[HEAD, "ci_low"] > 0.7
        share = share.drop(HEAD)
    assert not (share.drop([(0, -1)]) > 0.5).any()
