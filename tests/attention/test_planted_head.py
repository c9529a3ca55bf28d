"""A head built to route is named, and only that; without it nothing is."""

import numpy as np
import pytest
from planted_head import HEAD, planted_groups, planted_model, planted_text

from rareneurons.attention.condition_pair import ConditionPair
from rareneurons.attention.estimates import AttentionEvidence, AttentionSettings, attention_estimates
from rareneurons.attention.heads import Ablation, heads_of_layers
from rareneurons.attention.on_neurons import group_effects, readout_weights, routes, selectivity_estimates
from rareneurons.attention.routing import head_effects
from rareneurons.stats import document_weights
from rareneurons.tables import CheckpointName, rows_of

SETTINGS = AttentionSettings(10, 8, 19, 8, 300, 199, 0.05)


def named_heads(seed: int, with_head: bool, alpha: float = 0.05) -> list[tuple[int, int]]:
    """Heads that route, by mean ablation of single heads, as ``attention_estimates`` decides it."""
    architecture = planted_model(seed, with_head)
    blocks, rows = planted_text(seed)
    groups = planted_groups(seed)
    masks = rows[["in_rare", "in_common"]].to_numpy().T
    heads = [Ablation("head", "mean", (place,)) for place in heads_of_layers(architecture, range(2))]
    effects = head_effects(
        architecture, blocks, rows, masks, heads, lambda varies: readout_weights(groups, varies), {}, 30, 8
    )
    weights = document_weights(effects.rows.shape[1], 300, np.random.default_rng(seed))
    group = group_effects(effects, "plateau", groups["plateau"], "mean", effects.places("head", "mean", range(2)))
    found = selectivity_estimates(group, ConditionPair(("rare", "common"), effects.rows, weights), alpha).heads
    pairs = zip(found[::2], found[1::2], strict=True)
    return [(plain.layer, plain.head) for plain, more in pairs if routes(plain, more, alpha)]


@pytest.mark.calibration
def test_the_planted_head_and_no_other_is_named():
    found = [named_heads(seed, True, alpha=0.01) for seed in range(20)]
    assert sum(HEAD in named for named in found) == 20
    assert sum(named == [HEAD] for named in found) >= 19


@pytest.mark.calibration
def test_without_the_head_there_is_no_routing():
    found = [named_heads(1000 + seed, False) for seed in range(60)]
    assert sum(named == [] for named in found) >= 57


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
            largest = number(table, "largest_routing", kind, "matched")
            assert (largest["value"], largest["p_value"]) == (more["value"], more["p_value"])
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
