"""Screened influence of other layers against hooked passes of every neuron."""

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import MIXTURES, TINY, random_blocks, tiny_model
from oracles import hooked_delta_loss

from rareneurons.errors import CheckpointError, ConfigurationError, CorpusError
from rareneurons.influence.other_layers import OtherLayersSettings, influence_of_layers
from rareneurons.models.architectures import architecture_of
from rareneurons.rows import candidate_rows
from rareneurons.tables import INFLUENCE_COLUMNS, MEASURE_COLUMNS, CheckpointName

CHECKPOINT = CheckpointName("tiny", "step3")
SETTINGS = OtherLayersSettings(candidates=6, sample=9, top=2, documents=10, batch_size=3, neurons_per_pass=4)


def labelled_rows(blocks) -> pd.DataFrame:
    """All rows; documents alternate between the splits, positions between the conditions, which overlap."""
    rows = candidate_rows(blocks)
    rows["split"] = np.where(rows["block"] % 2, "heldout", "discovery")
    return rows.assign(in_rare=rows["position"] % 2 == 0, in_common=rows["position"] % 3 > 0)


def run(kind="llama", asked="all", reference="mean", settings=SETTINGS, n_blocks=8, **changes):
    architecture = architecture_of(tiny_model(kind).double())
    blocks = random_blocks(n_blocks)
    rows = changes.get("rows", labelled_rows(blocks))
    rng = np.random.default_rng(1)
    tables = influence_of_layers(architecture, CHECKPOINT, blocks, rows, asked, reference, settings, rng)
    return architecture, blocks, rows, *tables


@pytest.mark.oracle
@pytest.mark.parametrize("kind", TINY)
def test_tables_equal_hooked_passes(kind):
    """Every number of both tables from hooked passes of all neurons of layer 0, held at zero."""
    architecture, blocks, rows, influence, screening = run(kind, reference="zero")
    expert = ["expert"] if kind in MIXTURES else []
    assert list(influence.columns) == [*INFLUENCE_COLUMNS, "role", "first_order_delta_loss", *expert]
    assert list(screening.columns) == [*MEASURE_COLUMNS, "layer"]
    assert set(influence["layer"]) == set(screening["layer"]) == {0}
    assert len(influence) == (6 + 9) * 2 * 2
    every = np.stack([hooked_delta_loss(architecture, blocks, rows, n, 0.0, layer=0) for n in range(24)], axis=1)
    assert np.abs(every).max() > 0.01
    for (condition, split), part in influence.groupby(["condition", "split"]):
        mask = (rows[f"in_{condition}"] & (rows["split"] == split)).to_numpy()
        mine = every[mask][:, part["neuron"]]
        np.testing.assert_allclose(part["mean_delta_loss"], mine.mean(0), atol=1e-9, rtol=0)
        np.testing.assert_allclose(part["mean_abs_delta_loss"], np.abs(mine).mean(0), atol=1e-9, rtol=0)
        assert (part["n_rows"] == mask.sum()).all()
        assert (part["n_documents"] == 4).all()
        assert not part["neuron"].duplicated().any()
        assert part["role"].tolist() == ["candidate"] * 6 + ["sample"] * 9
    for condition in ("rare", "common"):
        heldout = every[(rows[f"in_{condition}"] & (rows["split"] == "heldout")).to_numpy()].mean(0)
        part = influence[(influence["condition"] == condition) & (influence["split"] == "heldout")]
        candidates, sample = (part.loc[part["role"] == role, "neuron"] for role in ("candidate", "sample"))
        threshold = np.sort(np.abs(heldout[candidates]))[-2]
        found = screening[screening["condition"] == condition].set_index(["group", "measure"])
        assert found.loc[("candidates", "threshold"), "value"] == pytest.approx(threshold, abs=1e-9)
        missed = found.loc[("sample", "miss_rate")]
        assert missed["value"] == np.mean(np.abs(heldout[sample]) > threshold)
        assert missed["n"] == 9
        scores = part.set_index("neuron")["first_order_delta_loss"]
        ranks = pd.Series(heldout[candidates]).corr(scores[candidates].reset_index(drop=True), method="spearman")
        assert found.loc[("candidates", "rank_correlation"), "value"] == pytest.approx(ranks, abs=1e-9)


@pytest.mark.oracle
def test_mean_reference_is_the_mean_over_the_documents_used():
    """Three of the four documents a split: the reference comes from their positions alone."""
    settings = OtherLayersSettings(candidates=24, sample=1, top=2, documents=3, batch_size=4, neurons_per_pass=24)
    architecture, blocks, rows, influence, screening = run(settings=settings)
    used = [b for b in range(8) if b in _documents_used(rows, settings)]
    seen = []
    for block in used:
        real = int(blocks.length[block])
        kept = []
        handle = architecture.mlp_output(0).register_forward_pre_hook(lambda _m, inputs, kept=kept: kept.append(inputs))
        with torch.inference_mode():
            architecture.model(input_ids=torch.from_numpy(blocks.tokens[block : block + 1, :real].astype(np.int64)))
        handle.remove()
        seen.append(kept[0][0][0, 3 : real - 1])
    mean = torch.cat(seen).mean(0)
    mine = rows[rows["block"].isin(used)].reset_index(drop=True)
    rare = (mine["in_rare"] & (mine["split"] == "heldout")).to_numpy()
    part = influence[(influence["condition"] == "rare") & (influence["split"] == "heldout")].set_index("neuron")
    assert (part["n_documents"] == 3).all()
    for neuron in (0, 11, 23):
        twin = hooked_delta_loss(architecture, blocks, mine, neuron, float(mean[neuron]), layer=0)[rare]
        assert part.loc[neuron, "mean_delta_loss"] == pytest.approx(twin.mean(), abs=1e-9)
    nothing_left_out = screening[screening["measure"] == "miss_rate"]
    assert (nothing_left_out["n"] == 0).all()


def _documents_used(rows, settings):
    """Blocks drawn by a generator in the state in which ``run`` hands it over."""
    rng = np.random.default_rng(1)
    return [
        block
        for split in ("discovery", "heldout")
        for block in rng.permutation(rows.loc[rows["split"] == split, "document"].unique())[: settings.documents] // 10
    ]


def test_candidates_come_from_discovery_rows_and_every_condition_gets_its_share(monkeypatch):
    """Planted scores: rare effects are a thousand times as large, held-out ones point elsewhere."""
    planted = {"rare/discovery": [0, 1, 2], "rare/heldout": [9, 10], "common/discovery": [5, 6, 7]}
    calls = iter(["rare/discovery", "rare/heldout", "common/discovery", "common/heldout"])

    def scores(*_):
        name = next(calls)
        found = np.full(24, 1e-6)
        found[planted.get(name, [12])] = 1.0 if name.startswith("rare") else -1e-3
        return {0: found}

    monkeypatch.setattr("rareneurons.influence.other_layers.attribution_scores", scores)
    influence = run()[3]
    assert set(influence.loc[influence["role"] == "candidate", "neuron"]) == {0, 1, 2, 5, 6, 7}
    part = influence[(influence["condition"] == "common") & (influence["split"] == "discovery")].set_index("neuron")
    assert part.loc[5, "first_order_delta_loss"] == -1e-3


def test_first_order_scores_approach_small_effects():
    """Over all neurons of a layer, score and effect agree in rank far beyond chance, and are not the same."""
    settings = OtherLayersSettings(candidates=24, sample=1, top=2, documents=10, batch_size=3, neurons_per_pass=24)
    influence = run("gpt_neox", settings=settings)[3]
    part = influence[(influence["condition"] == "rare") & (influence["split"] == "heldout")]
    assert part["first_order_delta_loss"].corr(part["mean_delta_loss"], method="spearman") > 0.5
    assert not np.allclose(part["first_order_delta_loss"], part["mean_delta_loss"], rtol=1e-3)


def test_listed_layers_may_hold_the_last():
    _, _, _, influence, _ = run(asked=[1, 0])
    assert influence["layer"].drop_duplicates().tolist() == [1, 0]


@pytest.mark.faults
def test_impossible_requests_name_their_key():
    with pytest.raises(
        ConfigurationError, match=r"other_layers\.layers: found 2, but tiny has 2 layers; expected 0 to 1"
    ):
        run(asked=[0, 2])
    many = OtherLayersSettings(candidates=30, sample=1, top=25, documents=10, batch_size=3, neurons_per_pass=4)
    with pytest.raises(ConfigurationError, match=r"other_layers\.top: found 25, but layer 0 of tiny has 24 neurons"):
        run(settings=many)
    rows = labelled_rows(random_blocks(8))
    with pytest.raises(CorpusError, match=r"other_layers\.documents: 10 documents of the heldout split .* 'rare'"):
        run(rows=rows.assign(in_rare=rows["in_rare"] & (rows["split"] == "discovery")))


@pytest.mark.faults
@pytest.mark.parametrize("layer", [0, 1])
def test_non_finite_activations_and_effects_name_checkpoint_layer_and_count(layer, monkeypatch):
    model = tiny_model("llama").double()
    architecture = architecture_of(model)
    blocks = random_blocks(8)
    arguments = (architecture, CHECKPOINT, blocks, labelled_rows(blocks), [layer], "zero", SETTINGS)
    from rareneurons.influence import other_layers

    def poisoned(*args):
        effects = original(*args)
        effects[4, :3] = np.nan, np.inf, -np.inf
        return effects

    original = other_layers.rerun_delta_loss
    monkeypatch.setattr(other_layers, "rerun_delta_loss", poisoned)
    with pytest.raises(CheckpointError, match=rf"tiny/step3, layer {layer}: 3 of \d+ effects are NaN or infinite"):
        influence_of_layers(*arguments, np.random.default_rng(0))
    architecture.mlp_inputs(layer)["w_up"][5] = np.nan
    with pytest.raises(CheckpointError, match=rf"tiny/step3, layer {layer}: 1 of 24 mean activations are NaN"):
        influence_of_layers(*arguments, np.random.default_rng(0))
