"""Both tables of a checkpoint: their numbers, by hand where possible, and their reasons where there is no number."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from conftest import random_blocks, tiny_model
from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

from rareneurons.attention.estimates import AttentionEvidence, AttentionSettings, attention_estimates
from rareneurons.attention.heads import planned_ablations
from rareneurons.attention.on_neurons import readout_weights
from rareneurons.attention.routing import head_effects
from rareneurons.groups import ControlledGroup
from rareneurons.models.architectures import architecture_of
from rareneurons.rows import candidate_rows
from rareneurons.stats import benjamini_hochberg
from rareneurons.tables import MEASURE_COLUMNS, MEASURE_KEYS, CheckpointName, rows_of

GROUPS = {
    "plateau": ControlledGroup(
        np.array([0, 1, 2]),
        {kind: np.arange(3, 24).reshape(7, 3)[np.arange(14) % 7] for kind in ("random", "matched")},
    ),
    "top_33": ControlledGroup(np.array([0, 1]), {kind: np.empty((0, 2), dtype=int) for kind in ("random", "matched")}),
}
SETTINGS = AttentionSettings(2, 5, 6, 4, 60, 40, 0.05)


def labelled_rows(blocks):
    rows = candidate_rows(blocks)
    rows["split"] = "heldout"
    rows["in_rare"] = rows["target"] % 2 == 0
    rows["in_common"] = ~rows["in_rare"]
    return rows


def tables(model, groups=GROUPS, settings=SETTINGS):
    blocks = random_blocks(6)
    evidence = AttentionEvidence(
        CheckpointName("tiny", "step4"),
        ("rare", "common"),
        labelled_rows(blocks),
        architecture=architecture_of(model),
        blocks=blocks,
    )
    found = attention_estimates(evidence, groups, settings, np.random.default_rng(0))
    assert found.draws.empty
    return found.table, found.products["heads"]


def only(table, **where) -> pd.Series:
    for column, value in where.items():
        table = table[table[column] == value]
    assert len(table) == 1, where
    return table.iloc[0]


@pytest.fixture(scope="module", params=["gpt_neox", "gpt2", "llama"])
def found(request):
    return request.param, *tables(tiny_model(request.param).double())


def test_columns_and_one_row_a_number(found):
    _, table, heads = found
    assert list(table.columns) == MEASURE_COLUMNS
    assert list(heads.columns) == [*MEASURE_COLUMNS, "layer", "head"]
    assert not table.duplicated(MEASURE_KEYS).any()
    assert not heads.duplicated([*MEASURE_KEYS, "layer", "head"]).any()
    assert set(table["part"]) == set(heads["part"]) == {"", "mean", "zero", "bos"}
    assert set(table["quantity"]) == set(heads["quantity"]) == {"value"}
    inside = heads["ci_low"].isna() | heads["measure"].str.contains("gini|share|routing")
    assert ((heads["ci_low"] <= heads["value"] + 1e-12) & (heads["value"] <= heads["ci_high"] + 1e-12))[
        ~inside
    ].mean() > 0.95


def test_every_head_is_measured_or_structurally_zero(found):
    kind, table, heads = found
    n_heads = 4 if kind == "llama" else 2
    everyone = {(layer, head) for layer in range(2) for head in range(n_heads)}
    zero = {(1, 0), (1, 1)} if kind == "gpt_neox" else set()

    def places(part):
        return set(zip(part["layer"], part["head"], strict=True))

    rare = heads[heads["condition"] == "rare"]
    for ablation in ("mean", "zero", "bos"):
        assert places(rows_of(rare, "head_effect", ablation, against="matched")) == everyone - zero
        assert places(rows_of(rare, "delta_loss", ablation, against="")) == everyone, "they change the loss directly"
    structural = rare[rare["measure"] == "structurally_zero"]
    assert places(structural) == zero
    assert (structural["value"] == 0).all()
    assert (structural["n"] == 0).all()
    assert only(table, measure="routing_heads", part="mean", group="plateau")["n"] == len(everyone - zero)


@pytest.mark.oracle
def test_numbers_equal_those_computed_from_the_effects_by_hand(found):
    kind, table, heads = found
    architecture, blocks = architecture_of(tiny_model(kind).double()), random_blocks(6)
    rows = labelled_rows(blocks)
    masks = rows[["in_rare", "in_common"]].to_numpy().T
    ablations = planned_ablations(architecture, 6, np.random.default_rng(0))
    effects = head_effects(
        architecture, blocks, rows, masks, ablations, lambda v: readout_weights({}, v), {"p": np.arange(3)}, 3, 4
    )
    members, controls = GROUPS["plateau"].members, GROUPS["plateau"].controls
    reach = 1 if kind == "gpt_neox" else 2
    singles = [
        n for n, each in enumerate(ablations) if (each.unit, each.kind) == ("head", "bos") and each.lowest_layer < reach
    ]
    size = effects.by_neuron[singles][:, :, members].mean(-1)
    matched = np.stack([effects.by_neuron[singles][:, :, one].mean(-1) for one in controls["matched"]], -1)
    for number, place in enumerate(singles):
        layer, head = ablations[place].heads[0]
        where = {"group": "plateau", "layer": layer, "head": head}
        one = only(heads, condition="rare", measure="head_effect", part="bos", against="matched", **where)
        assert one["value"] == pytest.approx(size[number, 0])
        assert one["p_value"] == pytest.approx((1 + (matched[number, 0] >= size[number, 0]).sum()) / 15)
        other = only(heads, condition="common", measure="head_effect", part="bos", against="matched", **where)
        assert other["null_mean"] == pytest.approx(matched[number, 1].mean())
        assert other["null_n"] == 14
        gap = only(heads, condition="rare-common", measure="selectivity", part="bos", against="", **where)
        assert gap["value"] == pytest.approx(size[number, 0] - size[number, 1])
        if len(singles) > 2:
            m = matched.mean(-1)
            gains = np.median(size / m, axis=0)
            beyond = size[number] - gains * m[number]
            routing = only(heads, condition="rare-common", measure="routing", part="bos", against="matched", **where)
            assert routing["value"] == pytest.approx(beyond[0] - beyond[1])
        loss = only(heads, condition="common", measure="delta_loss", part="bos", layer=layer, head=head)
        expected = effects.by_document["delta_loss"][place, 1].sum() / masks[1].sum()
        assert loss["value"] == pytest.approx(expected)
    plateau = {"group": "plateau", "part": "bos"}
    mean = only(table, condition="rare", measure="head_effect", against="random", **plateau)
    assert mean["value"] == pytest.approx(size[:, 0].mean())
    mean = only(table, condition="rare-common", measure="selectivity", against="matched", **plateau)
    assert mean["null_mean"] == pytest.approx((matched[:, 0] - matched[:, 1]).mean())
    plateau = {"condition": "rare", "group": "plateau", "part": "mean"}
    layer = next(n for n, each in enumerate(ablations) if (each.unit, each.kind) == ("layer", "mean"))
    whole = only(heads, measure="layer_effect", against="", layer=0, **plateau)
    assert whole["value"] == pytest.approx(effects.by_neuron[layer, 0, members].mean())
    mediated = only(heads, measure="mediated_loss", layer=0, head=-1, **plateau)
    held = effects.by_document["delta_loss"][layer, 0] - effects.by_document["held.p"][layer, 0]
    assert mediated["value"] == pytest.approx(held.sum() / masks[0].sum())
    assert (mediated["against"], mediated["null_n"]) == ("matched", 3)
    assert mediated["null_low"] <= mediated["null_mean"] <= mediated["null_high"]
    sets = [n for n, each in enumerate(ablations) if each.unit == "set"]
    against = rows_of(heads, "layer_effect", "mean", against="random_sets")
    assert len(against) == (0 if kind == "gpt_neox" else 2 * 2)  # layers and conditions
    mean = only(table, measure="layer_effect", **plateau)
    assert mean["ci_low"] < mean["value"] < mean["ci_high"]
    if sets:
        assert only(against, condition="rare", layer=1)["null_n"] == 6
        null = effects.by_neuron[sets][:, 0, members].mean(-1)
        tested = only(against, condition="rare", group="plateau", layer=0)
        assert tested["value"] == whole["value"]
        assert tested["p_value"] == pytest.approx((1 + (null >= whole["value"]).sum()) / 7)
        assert tested["null_mean"] == pytest.approx(null.mean())
    shares = []
    for first in range(reach):
        (place,) = effects.places("layer", "mean", [first])
        mine = effects.by_neuron[effects.places("head", "mean", [first])][:, 0, members].mean(-1)
        shares.append(mine.max() / effects.by_neuron[place, 0, members].mean())
    share = only(table, measure="largest_head_share", **plateau)
    assert share["value"] == pytest.approx(np.mean(shares))


def test_p_are_adjusted_over_heads_number_by_number(found):
    _, _, heads = found
    differences = heads[heads["condition"] == "rare-common"]
    for name in (("selectivity", "mean"), ("selectivity", "bos"), ("delta_loss", "zero"), ("pattern_entropy", "")):
        mine = rows_of(differences, *name, against="")
        np.testing.assert_allclose(mine["q_value"], benjamini_hochberg(mine["p_value"].to_numpy()))
        assert (mine["q_value"] > mine["p_value"]).any()


def test_permuted_heads_take_the_ranks_of_the_measured_ones(found):
    _, _, heads = found
    mine = heads[(heads["condition"] == "common") & (heads["group"] == "plateau")]
    effects, beside = (
        rows_of(mine, "head_effect", "zero", against=kind).set_index(["layer", "head"])
        for kind in ("matched", "permuted")
    )
    assert beside["value"].equals(effects["value"].loc[beside.index])
    assert beside["p_value"].isna().all()
    assert (beside["null_low"] <= beside["null_high"]).all()
    assert set(beside["null_n"]) == {40}
    effects, permuted = effects["value"], beside["null_mean"]
    assert effects.rank().equals(permuted.rank().loc[effects.index])
    assert permuted.mean() == pytest.approx(effects.mean())
    assert np.ptp(permuted) < np.ptp(effects)


def test_two_heads_are_too_few_for_one_to_stand_out(found):
    kind, table, _ = found
    largest = only(table, group="plateau", measure="largest_routing_share", part="mean", against="matched")
    assert np.isnan(largest["value"]) == (kind == "gpt_neox")
    assert ("2 heads reach the last MLP" in largest["reason"]) == (kind == "gpt_neox")


def test_small_groups_have_a_reason(found):
    _, table, heads = found
    small = only(table, group="top_33")
    assert (small["measure"], small["part"], small["against"]) == ("largest_routing_share", "mean", "matched")
    assert small["reason"] == "2 neurons, at least 3 are needed"
    assert "top_33" not in set(heads["group"])


def test_a_parallel_model_of_one_layer_has_a_reason_and_losses():
    model = GPTNeoXForCausalLM(
        GPTNeoXConfig(
            vocab_size=61,
            hidden_size=16,
            intermediate_size=24,
            num_hidden_layers=1,
            num_attention_heads=2,
            max_position_embeddings=32,
            bos_token_id=0,
            eos_token_id=0,
        )
    ).eval()
    table, heads = tables(model)
    assert "no head can reach the last MLP" in only(table, group="plateau")["reason"]
    assert set(heads["group"]) == {"all"}
    assert {"delta_loss", "pattern_cosine"} <= set(heads["measure"])


def test_without_groups_there_are_losses_and_patterns():
    table, heads = tables(tiny_model("gpt2"), {})
    assert set(table["group"]) == set(heads["group"]) == {"all"}


def test_the_same_generator_gives_the_same_tables():
    first, second = (tables(tiny_model("gpt_neox")) for _ in range(2))
    for one, other in zip(first, second, strict=True):
        pd.testing.assert_frame_equal(one, other)


SCREENED = replace(SETTINGS, candidates=2, sample=3, sign_draws=4)


def screened_tables(settings=SCREENED, seed=0, groups=GROUPS):
    """Of a model of four layers of four heads, with the discovery rows of other blocks than the held-out ones."""
    blocks = random_blocks(12)
    rows = labelled_rows(blocks)
    discovery, heldout = (rows[rows["block"] % 2 == half].reset_index(drop=True) for half in (0, 1))
    evidence = AttentionEvidence(
        CheckpointName("tiny", "step4"),
        ("rare", "common"),
        heldout,
        discovery=discovery,
        architecture=architecture_of(tiny_model("llama", num_hidden_layers=4).double()),
        blocks=blocks,
    )
    found = attention_estimates(evidence, groups, settings, np.random.default_rng(seed))
    return found.table, found.products["heads"]


@pytest.fixture(scope="module")
def screened():
    return screened_tables()


def places_of(part):
    return set(zip(part["layer"], part["head"], strict=True))


def test_candidates_are_ablated_in_each_kind_and_others_in_one(screened):
    table, heads = screened
    rare = heads[(heads["condition"] == "rare") & (heads["group"] == "plateau")]
    ablated = {
        kind: places_of(rows_of(rare, "head_effect", kind, against="matched")) for kind in ("mean", "zero", "bos")
    }
    assert ablated["zero"] == ablated["bos"]
    assert 2 <= len(ablated["zero"]) <= 4
    assert ablated["zero"] < ablated["mean"]
    assert len(ablated["zero"]) + 3 <= len(ablated["mean"]) <= 4 + 4 + 3
    assert {layer for layer, _ in ablated["mean"]} == {0, 1, 2, 3}
    everyone = {(layer, head) for layer in range(4) for head in range(4)}
    for kind in ("mean", "zero", "bos"):
        for condition in ("rare", "common"):
            part = rows_of(heads[heads["condition"] == condition], "screened_effect", kind, against="")
            assert places_of(part[part["group"] == "plateau"]) == places_of(part[part["group"] == "all"]) == everyone
            assert (part["value"] > 0).all()
            assert (
                rows_of(heads[heads["condition"] == condition], "screened_delta_loss", kind, against="")["value"] > 0
            ).all()
    assert places_of(rows_of(heads[heads["condition"] == "rare-common"], "pattern_cosine", against="")) == everyone
    assert not table.duplicated(MEASURE_KEYS).any()
    assert not heads.duplicated([*MEASURE_KEYS, "layer", "head"]).any()


def test_numbers_over_all_heads_come_from_mean_ablation_alone(screened):
    table, heads = screened
    for name in ("gini", "head_effect", "layer_effect", "largest_head_share", "delta_loss", "loss_gini"):
        assert set(table.loc[table["measure"] == name, "part"]) == {"mean"}, name
    assert set(heads.loc[heads["head"] == -1, "part"]) == {"mean"}
    assert set(table.loc[table["measure"] == "routing_heads", "part"]) == {"mean", "zero", "bos"}


def test_quality_of_the_screen_is_stated(screened):
    table, heads = screened
    mine = table[(table["group"] == "plateau") & (table["condition"] == "rare-common")]
    n_ablated = only(mine, measure="routing_heads", part="mean")["n"]
    correlation = only(mine, measure="screening_correlation")
    assert correlation["n"] == n_ablated
    assert correlation["value"] > 0.5
    for name in ("screening_miss_rate", "missed_routing"):
        bound = only(mine, measure=name)
        assert bound["n"] == 3
        assert bound["value"] < bound["ci_high"] <= 1
        assert bound["ci_high"] == pytest.approx(1 - 0.05 ** (1 / 3)) or bound["value"] > 0
    power = only(mine, measure="routing_power")
    assert power["n"] == 16
    assert 0 <= power["value"] <= 1


def test_cost_counts_the_screen(screened):
    table, heads = screened
    rare = heads[(heads["condition"] == "rare") & (heads["group"] == "plateau")]
    ablated = [rows_of(rare, "head_effect", kind, against="matched") for kind in ("mean", "zero", "bos")]
    sets = 6  # some of them start above the first layer
    single = sum((4 - part["layer"]).sum() for part in ablated)
    layers, screen = 4 + 3 + 2 + 1, 4 * (2 + (2 + 1 + 1) * 2 * 4)
    cost = only(table, measure="layer_evaluations")["value"]
    assert 0 <= 3 * 4 + single + layers + screen + 4 * sets - cost <= 4 * sets


@pytest.mark.oracle
def test_heads_that_are_ablated_have_the_numbers_that_all_heads_give_them(screened):
    """Of the same documents; p and intervals are left out, which others' draws and heads enter."""
    _, heads = screened
    _, exact = screened_tables(replace(SCREENED, candidates="all"))
    keys = ["condition", "group", "measure", "part", "against", "layer", "head"]
    names = ["head_effect", "selectivity", "delta_loss", "mediated_loss", "layer_effect", "pattern_divergence"]
    mine = heads[heads["measure"].isin(names)]
    both = mine.merge(exact, on=keys, suffixes=("", "_exact"), how="left")
    assert len(both) == len(mine)
    np.testing.assert_allclose(both["value"], both["value_exact"], rtol=1e-9, atol=1e-12)
    assert len(exact[exact["measure"] == "head_effect"]) > len(heads[heads["measure"] == "head_effect"])


def test_few_heads_are_not_screened():
    table, heads = screened_tables(replace(SCREENED, candidates=10, sample=6))
    assert "screened_effect" not in set(heads["measure"])
    assert only(table, group="plateau", measure="routing_heads", part="zero")["n"] == 16


def test_a_screen_without_top_groups_takes_the_loss():
    table, heads = screened_tables(groups={"suppress_plateau": GROUPS["plateau"]})
    assert "suppress_plateau" not in set(heads.loc[heads["measure"] == "screened_effect", "group"])
    assert 0 < only(table, group="suppress_plateau", measure="routing_heads", part="mean")["n"] < 16
    assert "screening_correlation" not in set(table["measure"])


@pytest.mark.oracle
def test_what_no_verdict_rests_on_is_measured_on_some_of_the_documents():
    """Zero ablation, and layers with their strongest heads; their documents are those that explain all numbers."""
    model, blocks = tiny_model("llama").double(), random_blocks(6)
    (_, whole), (table, some) = (tables(model, settings=replace(SETTINGS, documents_beside=most)) for most in (None, 3))
    single = (some["part"] == "mean") & (some["head"] >= 0) & (some["measure"] != "largest_head_share")
    pd.testing.assert_series_equal(some.loc[single, "value"], whole.loc[single, "value"])
    assert (some.loc[single, "n"] == whole.loc[single, "n"]).all()
    rows, architecture = labelled_rows(blocks), architecture_of(model)
    masks = rows[["in_rare", "in_common"]].to_numpy().T
    ablations = planned_ablations(architecture, 0, np.random.default_rng(0))
    effects = head_effects(architecture, blocks, rows, masks, ablations, lambda varies: {}, {}, 3, 4)
    sums = effects.by_document["abs_delta_loss"][:, 0]

    def value(measure, part, layer, head):
        where = {"condition": "rare", "group": "all", "measure": measure, "part": part, "against": ""}
        return only(some, layer=layer, head=head, **where)

    def explained(documents):
        means = sums[:, documents].sum(1) / effects.rows[0, documents].sum()
        here = {(each.unit, each.kind, each.heads[0]): mean for each, mean in zip(ablations, means, strict=True)}
        zero = value("abs_delta_loss", "zero", 1, 2)
        layers = [value("loss_layer_effect", "mean", layer, -1)["value"] for layer in (0, 1)]
        strongest = [max(here["head", "mean", (layer, head)] for head in range(4)) for layer in (0, 1)]
        share = only(table, condition="rare", group="all", measure="loss_largest_head_share", part="mean")["value"]
        return (
            zero["n"] == effects.rows[0, documents].sum()
            and np.isclose(zero["value"], here["head", "zero", (1, 2)], rtol=1e-9)
            and np.allclose(layers, [here["layer", "mean", (layer, 0)] for layer in (0, 1)], rtol=1e-9)
            and np.isclose(share, np.mean(np.array(strongest) / layers), rtol=1e-9)
        )

    assert sum(explained(list(documents)) for documents in combinations(range(6), 3)) == 1
