"""Models whose weights wait on the disk or in memory: the same numbers, and clear refusals."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from conftest import random_blocks, tiny_model

from rareneurons.attention.heads import planned_ablations
from rareneurons.attention.patterns import attention_patterns
from rareneurons.attention.routing import head_effects
from rareneurons.errors import CheckpointError
from rareneurons.models.checkpoints import open_checkpoint
from rareneurons.models.spread import computing_devices, is_spread, refuse_several_devices
from rareneurons.rows import candidate_rows
from rareneurons.trace import trace_rows


def parts(base: str, blocks: str, *others: str) -> dict[str, str]:
    """The last block and the unembedding on the disk, the rest in memory."""
    inside = {f"{base}.{blocks}.0": "cpu", f"{base}.{blocks}.1": "disk"}
    return inside | {f"{base}.{other}": "cpu" for other in others}


MAPS = {
    "gpt2": parts("transformer", "h", "wte", "wpe", "ln_f") | {"lm_head": "cpu"},  # tied to wte
    "gpt_neox": parts("gpt_neox", "layers", "embed_in", "final_layer_norm", "rotary_emb") | {"lm_head": "disk"},
    "llama": parts("model", "layers", "embed_tokens", "norm", "rotary_emb") | {"lm_head": "disk"},
    "gemma2": parts("model", "layers", "embed_tokens", "norm", "rotary_emb") | {"lm_head": "cpu"},
}


@pytest.fixture(params=MAPS)
def opened_twice(request, tmp_path):
    """The same folder, all in memory and spread."""
    folder = str(tmp_path / "model")
    tiny_model(request.param).save_pretrained(folder)
    spread = open_checkpoint(folder, device_map=MAPS[request.param], offload_folder=str(tmp_path / "offloaded"))
    return open_checkpoint(folder), spread


def without_values(architecture) -> int:
    return sum(weight.device.type == "meta" for weight in architecture.model.parameters())


@pytest.mark.oracle
def test_trace_and_last_layer_are_the_same(opened_twice):
    whole, spread = opened_twice
    waiting = without_values(spread)
    assert is_spread(spread.model)
    assert not is_spread(whole.model)
    assert waiting >= 8, "the last block's weights wait on the disk"
    blocks = random_blocks(5)
    rows = candidate_rows(blocks).iloc[::2].reset_index(drop=True)
    expected, found = (vars(trace_rows(each, blocks, rows, 2)) for each in (whole, spread))
    for name, array in expected.items():
        np.testing.assert_allclose(found[name], array, rtol=1e-6, atol=1e-6, err_msg=name)
    expected, found = whole.last_layer().arrays(), spread.last_layer().arrays()
    assert set(found) == set(expected)
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)
    assert without_values(spread) == waiting, "weights go back once they were used"


@pytest.mark.oracle
def test_attention_is_the_same(opened_twice):
    blocks = random_blocks(4)
    rows = candidate_rows(blocks)
    masks = np.stack([rows["position"] % 2 == 0, rows["position"] % 2 == 1])
    results = []
    for architecture in opened_twice:
        refuse_several_devices(architecture.model, "attention")
        ablations = planned_ablations(architecture, 2, np.random.default_rng(0))
        effects = head_effects(architecture, blocks, rows, masks, ablations, lambda varies: {}, {}, 2, 3)
        patterns = attention_patterns(architecture, blocks, rows, 4, 2)
        results.append((effects.by_neuron, effects.by_document["delta_loss"], patterns.profile))
    assert np.abs(results[0][1]).max() > 1e-3
    for whole, spread in zip(*results, strict=True):
        np.testing.assert_allclose(spread, whole, rtol=1e-5, atol=1e-5)


@pytest.mark.faults
def test_a_bad_weight_on_the_disk_is_named(tmp_path):
    model = tiny_model("llama")
    with torch.no_grad():
        model.model.layers[1].mlp.down_proj.weight[3, 2] = torch.nan
    model.save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match=r"'model\.layers\.1\.mlp\.down_proj\.weight' holds 1 NaN"):
        open_checkpoint(str(tmp_path), device_map=MAPS["llama"])


@pytest.mark.faults
def test_a_mixture_of_experts_is_refused(tmp_path):
    """Its neurons are computed from weights that accelerate would not bring."""
    tiny_model("mixtral").save_pretrained(tmp_path / "model")
    with pytest.raises(CheckpointError, match="^device_map: mixtral is a mixture of experts"):
        open_checkpoint(str(tmp_path / "model"), device_map=MAPS["llama"], offload_folder=str(tmp_path / "offloaded"))


@pytest.mark.faults
def test_layers_on_several_devices_are_refused_where_one_is_needed():
    model = SimpleNamespace(hf_device_map={"layers.0": 0, "layers.1": 1, "norm": "cpu", "lm_head": "disk"})
    with pytest.raises(
        CheckpointError, match=r"^device_map: the model is computed on cuda:0, cuda:1; ablation of .* one"
    ):
        refuse_several_devices(model, "ablation of attention heads")
    refuse_several_devices(SimpleNamespace(hf_device_map={"a": 0, "b": "cpu", "c": "disk"}), "anything")
    refuse_several_devices(tiny_model("llama"), "anything")


def test_devices_that_compute():
    """Weights that wait in memory or on the disk are computed on the accelerator, where there is one."""
    assert computing_devices(SimpleNamespace(hf_device_map={"a": 1, "b": "cpu", "c": torch.device("cuda:0")})) == [
        "cuda:0",
        "cuda:1",
    ]
    assert computing_devices(SimpleNamespace(hf_device_map={"a": "cpu", "b": "disk"})) == ["cpu"]
    assert computing_devices(tiny_model("llama")) == ["cpu"]
