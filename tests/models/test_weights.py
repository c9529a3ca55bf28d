"""What a weight file holds is decided once, for the trace, the audit and WeightWatcher."""

import json
import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import tiny_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from rareneurons.errors import CheckpointError, DamagedFileError
from rareneurons.models.checkpoints import open_checkpoint
from rareneurons.models.weight_sample import weight_sample
from rareneurons.models.weights import stored_places, weight_files, weight_matrices

pytestmark = pytest.mark.faults


def audited(folder: str) -> None:
    """What the audit of local folders reads."""
    names = weight_files(path.name for path in Path(folder).iterdir())
    weight_sample(names, lambda name: (Path(folder) / name).open("rb"))
    stored_places(folder)


READERS = {"trace": open_checkpoint, "audit": audited, "weightwatcher": weight_matrices}


@pytest.fixture(params=READERS)
def read(request):
    return READERS[request.param]


@pytest.fixture
def folder(tmp_path):
    tiny_model("llama").save_pretrained(tmp_path)
    return tmp_path


def rewritten(folder, change, suffix: str = "safetensors") -> None:
    """The folder's weights after ``change``, in a file of the given kind."""
    file = folder / "model.safetensors"
    weights = load_file(file)
    weights = change(weights)
    if suffix == "safetensors":
        save_file(weights, file, metadata={"format": "pt"})
    else:
        file.unlink()
        torch.save(weights, folder / "pytorch_model.bin")


def described(folder, **changes) -> None:
    """The folder's config.json with changes."""
    content = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(content | changes))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (lambda weights: {"model": weights}, "it holds 'model', a dict; expected parameter names with their tensors"),
        (lambda weights: {"state_dict": weights, "step": 5}, "it holds 'state_dict', a dict"),
        (lambda weights: weights | {"step": 5}, "it holds 'step', a int"),
        (lambda weights: list(weights.values()), "it holds a list"),
        (lambda weights: weights | {"lm_head.weight": torch.eye(4).to_sparse()}, "it holds '.*', a sparse tensor"),
        (lambda weights: next(iter(weights.values())), "it holds a tensor"),
    ],
)
def test_a_bin_that_is_no_state_dict_is_refused_by_every_reader(folder, read, content, said):
    rewritten(folder, content, "bin")
    with pytest.raises(DamagedFileError, match=rf"pytorch_model\.bin: cannot be read: {said}"):
        read(str(folder))


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d\nsize 12345\n", "it is a git-LFS pointer"),
        (b"<!DOCTYPE html><html></html>", "it is a web page"),
        (b"", "cannot be read: "),
    ],
)
def test_what_lies_in_a_file_s_place_is_named_by_every_reader(folder, read, name, content, said):
    (folder / "model.safetensors").unlink()
    (folder / name).write_bytes(content)
    with pytest.raises(DamagedFileError, match=f"{name}: cannot be read: .*") as refused:
        read(str(folder))
    assert said in str(refused.value)


@pytest.mark.parametrize(
    "dtype", [torch.int8, torch.uint8, torch.int32, torch.int64, torch.float8_e4m3fn, torch.float8_e5m2, torch.bool]
)
@pytest.mark.parametrize("suffix", ["safetensors", "bin"])
def test_weights_of_another_type_are_refused_by_every_reader(folder, read, dtype, suffix):
    """transformers would take the stored integers for the weights."""
    key = "model.layers.0.mlp.down_proj.weight"
    rewritten(folder, lambda weights: weights | {key: (10 * weights[key]).to(dtype)}, suffix)
    with pytest.raises(CheckpointError, match=rf"weight '{key}' is of type \w+; expected floating point .* quantised"):
        read(str(folder))


def test_an_adapter_beside_the_weights_is_refused_by_every_reader_but_the_sample(folder, read):
    (folder / "adapter_config.json").write_text("{}")
    with pytest.raises(CheckpointError, match="holds an adapter .* beside a model's weights"):
        read(str(folder))


MASK = torch.ones(1, 1, 32, 32).tril()
BUFFERS = {
    "gpt2": {
        "transformer.h.0.attn.bias": MASK.to(torch.uint8),
        "transformer.h.0.attn.masked_bias": torch.tensor(-1e4),
    },
    "gpt_neox": {
        "gpt_neox.layers.0.attention.bias": MASK.bool(),
        "gpt_neox.layers.0.attention.masked_bias": torch.tensor(-1e4),
        "gpt_neox.layers.0.attention.rotary_emb.inv_freq": torch.ones(4),
    },
    "llama": {"model.layers.1.self_attn.rotary_emb.inv_freq": torch.ones(2), "position_ids": torch.arange(32)[None]},
}


@pytest.mark.parametrize("kind", BUFFERS)
@pytest.mark.parametrize("suffix", ["safetensors", "bin"])
def test_known_buffers_change_nothing_for_any_reader(kind, suffix, tmp_path):
    tiny_model(kind).save_pretrained(tmp_path)
    expected, matrices = open_checkpoint(str(tmp_path)).unembedding, weight_matrices(str(tmp_path))
    rewritten(tmp_path, lambda weights: weights | BUFFERS[kind], suffix)
    assert torch.equal(open_checkpoint(str(tmp_path)).unembedding, expected)
    assert set(weight_matrices(str(tmp_path))) == set(matrices)
    audited(str(tmp_path))


LAYERS = {"gpt2": "transformer.h"}


@pytest.mark.parametrize("kind", ["gpt2", "gpt_neox", "llama", "olmoe"])
def test_weights_that_the_model_does_not_read_are_refused(kind, tmp_path):
    tiny_model(kind).save_pretrained(tmp_path)
    layers = "n_layer" if kind == "gpt2" else "num_hidden_layers"
    described(tmp_path, **{layers: 1, "layer_types": None})
    second = {name for name in load_file(tmp_path / "model.safetensors") if f"{LAYERS.get(kind, 'layers')}.1." in name}
    count = r"\d+" if kind == "olmoe" else len(second)  # experts are stacked before they are counted
    message = f": {count} weights in the files are none of the model .*, first '{min(second)}'"
    with pytest.raises(CheckpointError, match=message):
        open_checkpoint(str(tmp_path))
    described(tmp_path, **{layers: 3, "layer_types": None})
    with pytest.raises(CheckpointError, match=r"\d+ weights are missing from the files, first '.*\.2\."):
        open_checkpoint(str(tmp_path))


@pytest.mark.parametrize("key", ["v_head.summary.weight", "model.layers.0.mlp.down_proj.weight_scale", "lm_head.bias"])
def test_a_single_weight_too_many_is_named(folder, key):
    rewritten(folder, lambda weights: weights | {key: torch.ones(1, 16)})
    with pytest.raises(CheckpointError, match=f": 1 weights in the files are none of the model .* first '{key}'"):
        open_checkpoint(str(folder))


def test_weights_of_another_shape_are_named(folder):
    described(folder, hidden_size=32)
    with pytest.raises(CheckpointError, match=r"weights in the files have other shapes .*: \(\d+, 16\) in place of"):
        open_checkpoint(str(folder))


def test_tied_unembedding_is_read_once_wherever_it_is_stored(tmp_path):
    tiny_model("gpt2").save_pretrained(tmp_path)
    once = weight_matrices(str(tmp_path))
    expected = open_checkpoint(str(tmp_path)).unembedding
    rewritten(tmp_path, lambda w: w | {"lm_head.weight": w["transformer.wte.weight"].clone()})
    assert set(weight_matrices(str(tmp_path))) == set(once)
    assert torch.equal(open_checkpoint(str(tmp_path)).unembedding, expected)
    rewritten(tmp_path, lambda w: w | {"lm_head.weight": w["transformer.wte.weight"]}, "bin")
    assert set(weight_matrices(str(tmp_path))) == set(once)


def test_untied_matrices_stay_even_where_they_are_equal(tmp_path):
    """At step 0 output projections may all be zero."""
    tiny_model("gpt_neox").save_pretrained(tmp_path)
    names = [f"gpt_neox.layers.{layer}.mlp.dense_4h_to_h.weight" for layer in (0, 1)]
    rewritten(tmp_path, lambda w: w | {name: torch.zeros_like(w[name]) for name in names})
    found = weight_matrices(str(tmp_path))
    assert {*names, "embed_out.weight"} <= set(found)
    assert not np.any(found[names[0]])


@pytest.mark.parametrize(
    "changes",
    [
        {"_attn_implementation": "flash_attention_2"},
        {"attn_implementation": "flash_attention_3"},
        {"torch_dtype": "float99"},
        {"dtype": "auto"},
        {"_experts_implementation": "none of these"},
    ],
    ids=str,
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_how_a_model_was_run_does_not_count(folder, changes, dtype):
    expected = open_checkpoint(str(folder), dtype)
    described(folder, **changes)
    opened = open_checkpoint(str(folder), dtype)
    assert opened.model.config._attn_implementation == expected.model.config._attn_implementation
    assert opened.unembedding.dtype == dtype
    tokens = torch.arange(1, 9)[None]
    assert torch.equal(*(model.model(input_ids=tokens).logits for model in (expected, opened)))


def test_code_of_a_folder_s_own_never_runs_and_that_is_said(folder, caplog):
    described(folder, auto_map={"AutoConfig": "evil.Config", "AutoModelForCausalLM": "evil.Model"})
    (folder / "evil.py").write_text("raise SystemExit('it ran')")
    with caplog.at_level(logging.WARNING):
        open_checkpoint(str(folder))
    assert "auto_map names code of the model's own, which is never run; transformers' own llama is used" in caplog.text
    described(folder, model_type="evil")
    with pytest.raises(CheckpointError, match=r"model_type: found 'evil', which no adapter knows.*which is never run$"):
        open_checkpoint(str(folder))


def test_a_config_that_the_family_cannot_take_is_named(folder):
    described(folder, rms_norm_eps="small")
    with pytest.raises(CheckpointError, match=rf"^{folder}/config\.json: found .*rms_norm_eps.*transformers' llama"):
        open_checkpoint(str(folder))
    (folder / "config.json").write_text("{}")
    with pytest.raises(CheckpointError, match=f"^{folder}: model_type: found '', which no adapter knows"):
        open_checkpoint(str(folder))


def test_bin_of_the_old_format_is_read_by_every_reader(folder, read):
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save(weights, folder / "pytorch_model.bin", _use_new_zipfile_serialization=False)
    read(str(folder))
    assert set(stored_places(str(folder))) == set(weights)
    torch.save({"model": weights}, folder / "pytorch_model.bin", _use_new_zipfile_serialization=False)
    with pytest.raises(DamagedFileError, match="it holds 'model', a dict"):
        read(str(folder))


def test_parameters_in_a_bin_are_weights(folder, read):
    rewritten(folder, lambda weights: {key: torch.nn.Parameter(value) for key, value in weights.items()}, "bin")
    read(str(folder))


def test_want_of_memory_is_no_fault_of_the_files(folder, monkeypatch):
    """The job then says what to lower; see rareneurons_jobs/job.py."""

    def no_memory(*_arguments, **_settings):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")

    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", no_memory)
    with pytest.raises(RuntimeError, match="can't allocate memory"):
        open_checkpoint(str(folder))
