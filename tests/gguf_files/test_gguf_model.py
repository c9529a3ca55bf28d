"""A GGUF file's model: the same weights and logits as before, or one message."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import tiny_model
from gguf import GGMLQuantizationType
from tiny_gguf import WIDE, tensor_name, write_model
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.modeling_gguf_pytorch_utils import load_gguf_checkpoint

from rareneurons.errors import CheckpointError
from rareneurons.gguf_files.model import FAMILIES, unpack_model
from rareneurons.gguf_files.reading import open_gguf, quantisation, quantisation_in_words
from rareneurons.models.checkpoints import open_checkpoint

IDS = torch.arange(20)[None]


def wide_model(kind: str, **changes) -> torch.nn.Module:
    return tiny_model(kind, **(WIDE | changes))


def unpacked(file: str, tmp_path) -> torch.nn.Module:
    folder = tmp_path / "folder"
    folder.mkdir()
    unpack_model(file, str(folder))
    return open_checkpoint(str(folder)).model


@pytest.mark.oracle
@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
@pytest.mark.parametrize("kind", FAMILIES)
def test_weights_and_logits_are_those_of_the_model(tmp_path, kind, tied):
    model = wide_model(kind, tie_word_embeddings=tied)
    found = unpacked(write_model(tmp_path / "m.gguf", model, kind), tmp_path)
    state = found.state_dict()
    assert set(state) == set(model.state_dict())
    for name, weight in model.state_dict().items():
        assert torch.equal(weight, state[name]), name
        assert state[name].dtype == torch.float32
    assert found.config.tie_word_embeddings is tied
    assert (found.lm_head.weight.data_ptr() == found.model.embed_tokens.weight.data_ptr()) is tied
    torch.testing.assert_close(found(IDS).logits, model(IDS).logits, rtol=0, atol=1e-5)


def by_blocks(weights: np.ndarray, kind: str) -> np.ndarray:
    """Weights as blocks of 32 keep them: whole numbers with a scale and, for Q4_1, a minimum, both in float16."""
    kept = np.empty_like(weights, dtype=np.float32)
    for row in range(weights.shape[0]):
        for start in range(0, weights.shape[1], 32):
            block = weights[row, start : start + 32]
            low = block.min() if kind == "Q4_1" else np.float32(0)
            scale = (block.max() - low) / 15 if kind == "Q4_1" else np.abs(block).max() / 127
            whole = np.round((block - low) / scale) if kind == "Q8_0" else np.floor((block - low) / scale + 0.5)
            kept[row, start : start + 32] = np.float32(np.float16(scale)) * whole + np.float32(np.float16(low))
    return kept


@pytest.mark.oracle
@pytest.mark.parametrize("kind", ["Q8_0", "Q4_1"])
def test_quantised_weights_are_those_of_their_blocks(tmp_path, kind):
    model = wide_model("qwen3", tie_word_embeddings=True)
    file = write_model(tmp_path / "m.gguf", model, "qwen3", kind)
    found = unpacked(file, tmp_path)
    for name, weight in found.state_dict().items():
        before = model.state_dict()[name].numpy()
        expected = by_blocks(before, kind) if before.ndim == 2 else before
        np.testing.assert_allclose(weight.numpy(), expected, rtol=0, atol=1e-6 * np.abs(before).max(), err_msg=name)
    state = {name: weight for name, weight in model.state_dict().items() if name != "lm_head.weight"}
    n_weights = {ndim: sum(weight.numel() for weight in state.values() if weight.ndim == ndim) for ndim in (1, 2)}
    shares = quantisation(open_gguf(file))
    assert list(shares) == [kind, "F32"]
    assert shares["F32"] == pytest.approx(n_weights[1] / (n_weights[1] + n_weights[2]))


@pytest.mark.oracle
@pytest.mark.parametrize("kind", ["F16", "BF16", "Q8_0", "Q4_1"])
def test_logits_are_those_of_the_model_that_transformers_dequantises(tmp_path, kind):
    file = write_model(tmp_path / "m.gguf", wide_model("llama"), "llama", kind)
    found = unpacked(file, tmp_path)
    config = AutoConfig.from_pretrained(tmp_path, gguf_file="m.gguf", head_dim=WIDE["head_dim"])
    theirs = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    theirs.load_state_dict(load_gguf_checkpoint(file, return_tensors=True, model_to_load=theirs)["tensors"])
    torch.testing.assert_close(found(IDS).logits, theirs.eval()(IDS).logits, rtol=0, atol=1e-5)


def test_shares_in_words():
    assert quantisation_in_words({"Q4_1": 0.789, "F32": 0.00026}) == "Q4_1 78.90 %, F32 0.03 %"
    assert quantisation_in_words({"F16": 1.0}) == "F16 100.00 %"


DOWN = "blk.1.ffn_down.weight"
Q8_1 = (np.zeros((32, 2 * 40), dtype=np.uint8), GGMLQuantizationType.Q8_1)
WRONG_TENSORS = {
    "whole numbers": (DOWN, np.zeros((32, 64), np.int32), rf"tensor '{DOWN}' is of type I32, which .* in another"),
    "a type without values": (DOWN, Q8_1, rf"'{DOWN}' is of type Q8_1"),
    "missing": (DOWN, None, f"1 weights are missing, first '{DOWN}'"),
    "left over": (
        "rope_freqs.weight",
        np.ones(4, np.float32),
        "1 tensors are none of a plain llama, first 'rope_freqs",
    ),
    "no embedding": ("token_embd.weight", None, "holds no token_embd.weight"),
}
# Key below the architecture's name -> value, message about it.
WRONG_SETTINGS = {
    "feed_forward_length": (96, r"tensor .* has the shape \(.*\); expected \(.*\) by the file's own metadata"),
    "rope.scaling.type": ("yarn", "found 'yarn'; expected 'none'"),
    "expert_count": (8, "found 8; expected 0"),
    "attention.sliding_window": (8, "found 8; the plain architecture has no such setting"),
    "rope.dimension_count": (4, "found 4; expected 8"),
    "attention.head_count": (5, "; expected what transformers' llama takes"),
    "attention.head_count_kv": ([2, 2], r"found \[2, 2\]; expected a whole number"),
    "block_count": (None, "found None; expected a whole number above 0"),
    "embedding_length": ([32, 32], r"found \[32, 32\]; expected a whole number"),
    "attention.layer_norm_rms_epsilon": (None, "found none"),
}


def refused(tmp_path, **changes) -> str:
    """The message about a file; it begins with the file's name."""
    file = write_model(tmp_path / "m.gguf", wide_model("llama"), "llama", **changes)
    with pytest.raises(CheckpointError) as error:
        unpacked(file, tmp_path)
    assert str(error.value).startswith(f"{file}: ")
    return str(error.value)


@pytest.mark.faults
@pytest.mark.parametrize("case", WRONG_TENSORS)
def test_tensors_of_no_plain_model_are_refused_by_name(tmp_path, case):
    name, values, message = WRONG_TENSORS[case]
    assert re.search(message, refused(tmp_path, tensors={name: values}))


@pytest.mark.faults
@pytest.mark.parametrize("key", WRONG_SETTINGS)
def test_settings_of_no_plain_model_are_refused_by_name(tmp_path, key):
    value, message = WRONG_SETTINGS[key]
    about = "" if key in ("feed_forward_length", "attention.head_count") else rf"llama\.{key}: "
    assert re.search(about + message, refused(tmp_path, fields={f"llama.{key}": value}))


@pytest.mark.faults
def test_a_part_of_a_model_is_refused(tmp_path):
    message = refused(tmp_path, fields={"split.count": 3})
    assert "found one of 3 parts of a model; expected a whole one. Merge them" in message


def test_settings_that_change_nothing_are_read(tmp_path):
    neutral = {
        "llama.rope.scaling.type": "none",
        "llama.expert_count": 0,
        "llama.rope.dimension_count": WIDE["head_dim"],
        "llama.attention.value_length": WIDE["head_dim"],
    }
    model = wide_model("llama")
    found = unpacked(write_model(tmp_path / "m.gguf", model, "llama", fields=neutral), tmp_path)
    torch.testing.assert_close(found(IDS).logits, model(IDS).logits, rtol=0, atol=1e-5)


@pytest.mark.faults
def test_another_architecture_is_refused_by_name(tmp_path):
    file = write_model(tmp_path / "m.gguf", wide_model("llama"), "falcon")
    with pytest.raises(CheckpointError, match="architecture: found 'falcon'; expected one of llama, qwen2, qwen3"):
        unpacked(file, tmp_path)


@pytest.mark.faults
def test_a_file_that_is_cut_off_anywhere_gives_one_message(tmp_path):
    file = Path(write_model(tmp_path / "m.gguf", wide_model("llama"), "llama"))
    whole = file.read_bytes()
    for length in [*range(4, 1200, 97), len(whole) // 2, len(whole) - 64]:
        file.write_bytes(whole[:length])
        with pytest.raises(CheckpointError, match=f"^{file}: cannot be read as GGUF: it holds {length} bytes"):
            open_gguf(str(file))


@pytest.mark.faults
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "a file that begins with b''"),
        (b"PK\x03\x04 a wheel", r"a file that begins with b'PK"),
        (b"version https://git-lfs.github.com/spec/v1", "a git-LFS pointer, not the file itself"),
        (b"<!DOCTYPE html>", "a web page, not the file itself"),
    ],
)
def test_what_is_no_gguf_file_is_refused(tmp_path, content, message):
    file = tmp_path / "m.gguf"
    file.write_bytes(content)
    with pytest.raises(CheckpointError, match=message):
        open_gguf(str(file))


def test_names_of_the_twin_are_llama_cpps():
    assert tensor_name("model.layers.3.self_attn.q_proj.weight") == "blk.3.attn_q.weight"
    assert tensor_name("lm_head.weight") == "output.weight"
