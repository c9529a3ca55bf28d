"""Opening checkpoints, and refusing broken ones."""

import json

import numpy as np
import pytest
import torch
from conftest import MIXTURES, NO_CLOSED_FORM, TINY, rms_norm, tiny_model
from safetensors.torch import load_file, save_file
from transformers import BertConfig, BertForMaskedLM
from transformers.pytorch_utils import Conv1D
from transformers.utils.quantization_config import BitsAndBytesConfig, QuantizationMethod

from rareneurons.errors import CheckpointError
from rareneurons.models.architectures import architecture_of, projection_rows
from rareneurons.models.checkpoints import open_checkpoint, refuse_quantised
from rareneurons.models.last_layer import LastLayer
from rareneurons.models.weights import weight_files, weight_matrices
from rareneurons.trace import Recorder


@pytest.fixture
def folder(tmp_path):
    tiny_model("gpt_neox").save_pretrained(tmp_path)
    return tmp_path


@pytest.mark.oracle
@pytest.mark.parametrize("kind", TINY)
def test_every_architecture_opens_and_its_parts_make_the_logits(kind, tmp_path):
    model = tiny_model(kind)
    model.save_pretrained(tmp_path)
    opened = open_checkpoint(str(tmp_path))
    tokens = torch.arange(1, 9)[None]
    captured = {}
    handle = opened.final_norm_module.register_forward_pre_hook(lambda _m, inputs: captured.update(x=inputs[0]))
    with torch.no_grad():
        logits = opened.model(input_ids=tokens, use_cache=False).logits[0]
    handle.remove()
    assert torch.allclose(logits, model(input_ids=tokens, use_cache=False).logits[0], atol=1e-4)
    layer = opened.last_layer()
    assert torch.allclose(layer.logits(captured["x"][0]), logits, atol=1e-3)
    n_neurons, width = layer.output_weight.shape
    assert all(weight.shape == (n_neurons, width) for weight in layer.input_weights.values())
    assert opened.n_layers == 2
    assert opened.parallel_blocks == (kind in ("gpt_neox", "phi"))


@pytest.mark.oracle
@pytest.mark.parametrize("kind", [kind for kind in TINY if kind not in MIXTURES])
def test_input_weights_are_rows_of_their_neurons(kind):
    """Neuron 5 of a doubled row is doubled, or with its row at zero silent (gated) or constant; the others stay."""
    architecture = architecture_of(tiny_model(kind))

    def activations():
        with torch.inference_mode(), Recorder({"a": architecture.mlp_output(0)}) as recorder:
            architecture.base(input_ids=torch.arange(1, 9)[None], use_cache=False)
        return recorder.inputs["a"][0]

    before, expected = activations(), {"w_up": lambda a: 2 * a, "w_gate": torch.zeros_like, "w_in": lambda a: a[:1]}
    for name, weight in architecture.mlp_inputs(0).items():
        row = weight[5].clone()
        weight[5] = 2 * row if name == "w_up" else 0 * row
        after = activations()
        weight[5] = row
        torch.testing.assert_close(
            after[:, 5], expected[name](after[:, 5] if name == "w_in" else before[:, 5]).expand(8)
        )
        others = [n for n in range(24) if n != 5]
        torch.testing.assert_close(after[:, others], before[:, others])
        assert (after[:, 5] - before[:, 5]).abs().max() > 1e-3


def test_last_layer_survives_arrays(folder):
    layer = open_checkpoint(str(folder)).last_layer()
    again = LastLayer.from_arrays(layer.arrays())
    assert again.norm.kind == "layer_norm"
    assert again.norm.epsilon == layer.norm.epsilon
    assert torch.equal(again.unembedding, layer.unembedding)
    assert torch.equal(again.input_weights["w_in"], layer.input_weights["w_in"])


@pytest.mark.parametrize("kind", NO_CLOSED_FORM)
def test_what_prevents_the_closed_form_survives_arrays(kind):
    layer = architecture_of(tiny_model(kind)).last_layer()
    again = LastLayer.from_arrays(layer.arrays())
    assert "a norm lies between the last MLP" in layer.no_closed_form
    assert ("soft-capped at 4" in layer.no_closed_form) == (kind == "gemma2")
    assert again.no_closed_form == layer.no_closed_form
    output = torch.randn(3, 16)
    assert torch.equal(again.added_to_residual(output), layer.added_to_residual(output))
    assert torch.equal(again.logits(output), layer.logits(output))


@pytest.mark.oracle
@pytest.mark.parametrize("kind", [kind for kind in TINY if kind != "gemma2"])
def test_float64_checkpoint_computes_in_float64(kind, tmp_path):
    """Eager attention alone would be 1e-7 off."""
    model = tiny_model(kind).double()
    model.save_pretrained(tmp_path)
    opened = open_checkpoint(str(tmp_path), torch.float64)
    tokens = torch.arange(1, 9)[None]
    with torch.no_grad():
        found, expected = (m(input_ids=tokens, use_cache=False).logits for m in (opened.model, model))
    torch.testing.assert_close(found, expected, atol=1e-11, rtol=0)


@pytest.mark.oracle
@pytest.mark.parametrize("kind", ["llama", "qwen3", "olmo2", "gemma2", "gemma3_text", "olmoe"])
def test_norms_of_a_float64_checkpoint_keep_float64(kind, tmp_path):
    """Against the tests' own RMSNorm; transformers' own, which rounds to float32, is 1e-8 off."""
    tiny_model(kind).save_pretrained(tmp_path)
    opened = open_checkpoint(str(tmp_path), torch.float64)
    norms = [module for module in opened.model.modules() if type(module).__name__.endswith("RMSNorm")]
    assert len(norms) >= 5
    for norm in norms:
        x = torch.randn(7, len(norm.weight), dtype=torch.float64)
        torch.testing.assert_close(norm(x), rms_norm(norm, x), atol=1e-14, rtol=1e-14)
        assert (type(norm).forward(norm, x) - norm(x)).abs().max() > 1e-9


@pytest.mark.oracle
def test_olmo_s_norm_of_a_float64_checkpoint_keeps_float64(tmp_path):
    tiny_model("olmo").save_pretrained(tmp_path)
    norm = open_checkpoint(str(tmp_path), torch.float64).final_norm_module
    x = torch.randn(7, 16, dtype=torch.float64)
    torch.testing.assert_close(norm(x), torch.nn.functional.layer_norm(x, (16,), eps=1e-5), atol=1e-14, rtol=1e-14)
    assert (type(norm).forward(norm, x) - norm(x)).abs().max() > 1e-9


def test_conv1d_rows_are_inputs():
    module = Conv1D(3, 5)
    assert projection_rows(module).shape == (5, 3)
    assert projection_rows(torch.nn.Linear(5, 3)).shape == (5, 3)


def test_half_precision_files_open_in_float32(tmp_path):
    tiny_model("gpt_neox").half().save_pretrained(tmp_path)
    opened = open_checkpoint(str(tmp_path))
    assert opened.unembedding.dtype == torch.float32
    assert not opened.unembedding.requires_grad
    assert not opened.model.training


@pytest.mark.faults
@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_non_finite_weight_is_named(folder, value):
    weights = load_file(folder / "model.safetensors")
    name = "gpt_neox.layers.1.mlp.dense_4h_to_h.weight"
    weights[name][0, :3] = value
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=rf"'{name}' holds 3 NaN or infinite values"):
        open_checkpoint(str(folder))
    with pytest.raises(CheckpointError, match=name):
        weight_matrices(str(folder))


@pytest.mark.faults
def test_missing_weight_is_refused(folder):
    weights = load_file(folder / "model.safetensors")
    del weights["gpt_neox.final_layer_norm.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match="1 weights are missing"):
        open_checkpoint(str(folder))


@pytest.mark.faults
def test_truncated_file_is_refused(folder):
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match=f"{file}: cannot be read: it ends within its header"):
        open_checkpoint(str(folder))


@pytest.mark.faults
@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_damaged_file_is_named_where_matrices_are_read(folder, name):
    file = folder / name
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    {"model.safetensors": save_file}.get(name, torch.save)(weights, file)
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match=rf"{file}: cannot be read: .*\. Fetch or save .* models\[\]\.leave_out"):
        weight_matrices(str(folder))


@pytest.mark.faults
def test_bin_that_would_run_code_is_refused_wherever_it_is_read(folder):
    class Evil:
        def __reduce__(self):
            return (open, (str(folder / "ran"), "w"))

    (folder / "model.safetensors").unlink()
    torch.save({"a": Evil()}, folder / "pytorch_model.bin")
    for read in (open_checkpoint, weight_matrices):
        with pytest.raises(CheckpointError, match="holds more than tensors, which could run code") as refused:
            read(str(folder))
        assert "False" not in str(refused.value), "no advice to switch weights_only off"
    assert not (folder / "ran").exists()


@pytest.mark.faults
@pytest.mark.parametrize("stem", ["model.safetensors", "pytorch_model.bin"])
@pytest.mark.parametrize("shard", ["../{}", "/tmp/{}", "other-{}"])
def test_index_may_name_shards_of_its_own_folder_alone(folder, stem, shard):
    """The audit hashes this folder's shards; what runs must be these."""
    own = stem.replace(".", "-00001-of-00001.")
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    for place in (folder / own, folder / f"other-{own}"):
        save_file(weights, place, metadata={"format": "pt"}) if "safe" in stem else torch.save(weights, place)
    index = folder / f"{stem}.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": dict.fromkeys(weights, own)}))
    assert open_checkpoint(str(folder)).n_layers == 2
    foreign = dict.fromkeys(weights, own) | {next(iter(weights)): shard.format(own)}
    index.write_text(json.dumps({"metadata": {}, "weight_map": foreign}))
    for read in (open_checkpoint, weight_matrices):
        with pytest.raises(CheckpointError, match=rf"{index}: names '{shard.format(own)}', which is no shard in this"):
            read(str(folder))
    index.write_text("{")
    with pytest.raises(CheckpointError, match=f"{index}: cannot be read"):
        open_checkpoint(str(folder))


@pytest.mark.faults
def test_missing_folder_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match="not a checkpoint"):
        open_checkpoint(str(tmp_path / "nowhere"))
    with pytest.raises(CheckpointError, match=r"no model\*\.safetensors"):
        weight_matrices(str(tmp_path))


def test_unknown_architecture_is_refused_by_name(tmp_path):
    config = BertConfig(vocab_size=40, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16)
    model = BertForMaskedLM(config)
    model.save_pretrained(tmp_path)
    message = "found 'bert', which no adapter knows; known are gemma, gemma2.* An adapter .* must say where the blocks"
    with pytest.raises(CheckpointError, match=f"{tmp_path}: model_type: {message}"):
        open_checkpoint(str(tmp_path))
    with pytest.raises(CheckpointError, match=message):
        architecture_of(model)


@pytest.mark.faults
def test_attention_to_later_tokens_is_refused_before_the_weights_are_read(tmp_path):
    model = tiny_model("gemma3_text", use_bidirectional_attention=True)
    model.save_pretrained(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    message = "model_type 'gemma3_text', use_bidirectional_attention: found true; expected causal attention"
    with pytest.raises(CheckpointError, match=f"{tmp_path}: {message}"):
        open_checkpoint(str(tmp_path))
    with pytest.raises(CheckpointError, match=message):
        architecture_of(model)


def test_remote_code_never_runs(folder):
    config = json.loads((folder / "config.json").read_text())
    config["auto_map"] = {"AutoModelForCausalLM": "evil.Model", "AutoConfig": "evil.Config"}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "evil.py").write_text("raise SystemExit('remote code ran')")
    open_checkpoint(str(folder))


@pytest.mark.oracle
def test_matrices_from_files_equal_the_model_s(folder):
    opened = open_checkpoint(str(folder))
    found = weight_matrices(str(folder))
    expected = [p.numpy() for p in opened.model.parameters() if p.ndim == 2]
    assert len(found) == len(expected)
    for matrix in expected:  # files and model name the unembedding differently
        assert sum(np.array_equal(matrix, other) for other in found.values()) == 1


SHARDS = [f"model-0000{number}-of-00002.safetensors" for number in (1, 2)]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["pytorch_model.bin", "model.safetensors", "config.json"], ["model.safetensors"]),
        (["model.safetensors", "model.safetensors.index.json", *SHARDS], ["model.safetensors"]),
        (["model.safetensors.index.json", *SHARDS[::-1], "x.bin"], ["model.safetensors.index.json", *SHARDS]),
        ([*SHARDS, "pytorch_model.bin"], ["pytorch_model.bin"]),  # shards that nobody can join
        (["consolidated.safetensors", "optimizer.bin"], []),
        (["model.safetensors.index.json", "model-1/../../x-of-2.safetensors"], []),
    ],
)
def test_weights_are_read_from_the_files_transformers_would_take(names, expected):
    assert weight_files(names) == expected


def test_bin_files_are_read_with_weights_only(folder, tmp_path):
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save(weights, folder / "pytorch_model.bin")
    assert set(weight_matrices(str(folder))) == {name for name, w in weights.items() if w.ndim == 2}
    assert open_checkpoint(str(folder)).n_layers == 2


@pytest.mark.faults
@pytest.mark.parametrize("method", QuantizationMethod)
def test_a_folder_that_any_method_quantised_is_refused_by_its_name(tmp_path, method):
    config = tiny_model("llama").config.to_dict() | {"quantization_config": {"quant_method": method.value}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(
        CheckpointError, match=rf"found quantised weights \('{method.value}'\); expected floating-point"
    ):
        open_checkpoint(str(tmp_path))


@pytest.mark.faults
@pytest.mark.parametrize("dtype", [torch.int8, torch.uint8, torch.float8_e4m3fn])
def test_a_quantised_model_in_memory_is_refused(dtype):
    model = tiny_model("llama")
    refuse_quantised(model, "m")
    refuse_quantised(model.to(torch.bfloat16), "m")
    packed = model.model.layers[1].mlp.down_proj
    packed.weight = torch.nn.Parameter(packed.weight.data.to(dtype), requires_grad=False)
    name, kind = "model.layers.1.mlp.down_proj.weight", str(dtype).removeprefix("torch.")
    with pytest.raises(CheckpointError, match=f"m: weight '{name}' is of type {kind}; expected floating-point"):
        refuse_quantised(model, "m")
    model.config.quantization_config = BitsAndBytesConfig(load_in_8bit=True)
    with pytest.raises(CheckpointError, match=f"is of type {kind}, quantised by bitsandbytes; expected"):
        refuse_quantised(model, "m")
