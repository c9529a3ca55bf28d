"""What config.json says, in many families' words and where it says nonsense."""

import json

import pytest
from conftest import TINY, tiny_model

from rareneurons.errors import CheckpointError
from rareneurons.model_folders import config_file
from rareneurons.planning import costs

pytestmark = pytest.mark.faults
LLAMA = {
    "model_type": "llama",
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "vocab_size": 61,
    "max_position_embeddings": 32,
}
ODD = [[128, 128], "128", 1.5, -3, True, {"a": 1}, float("nan"), float("inf"), 10**400]


@pytest.mark.parametrize("kind", TINY)
def test_sizes_of_every_family(kind):
    content = json.loads(tiny_model(kind).config.to_json_string())
    sizes = [config_file.size(content, name) for name in ("layers", "width", "vocabulary", "positions")]
    assert sizes == [2, 16, 61, 32]
    assert config_file.size(content, "heads") == json.loads(json.dumps(TINY[kind][1])).get(
        "num_attention_heads", TINY[kind][1].get("n_head")
    )
    assert config_file.context_length(content) == 32
    config_file.refuse_unusable(content, "folder")


@pytest.mark.parametrize("key", ["hidden_size", "intermediate_size", "num_hidden_layers", "vocab_size"])
@pytest.mark.parametrize("value", ODD, ids=str)
def test_a_size_that_is_none_is_refused_in_its_own_job_and_does_not_stop_a_plan(key, value):
    """Gemma 3n has a width of the MLP per layer; an exception in a plan would stop every other model, too."""
    content = LLAMA | {key: value}
    with pytest.raises(
        CheckpointError, match=rf"^folder/config.json: {key}: found .*; expected a whole number above 0"
    ):
        config_file.refuse_unusable(content, "folder")
    costs.request(costs.ESTIMATES["weightwatcher"](costs.Sizes(1, 1, costs.shape_of(content)), {}))
    assert config_file.size(content, "heads") == 4


@pytest.mark.parametrize("key", ["hidden_size", "num_hidden_layers", "vocab_size", "num_attention_heads"])
def test_a_size_that_is_missing_is_not_guessed(key):
    """transformers takes the family's default: 32 layers of 4096."""
    without = {name: value for name, value in LLAMA.items() if name != key}
    with pytest.raises(CheckpointError, match=f"^folder/config.json: says no {key}"):
        config_file.refuse_unusable(without, "folder")
    with pytest.raises(CheckpointError, match=f"{key}: found None"):
        config_file.refuse_unusable(without | {key: None}, "folder")
    assert costs.shape_of(without).stored == 2


def test_null_where_a_family_means_its_default_is_no_fault():
    config_file.refuse_unusable(LLAMA | {"num_key_value_heads": None, "intermediate_size": None}, "folder")


def test_text_of_a_model_of_more_than_text_is_looked_at():
    nested = {"model_type": "gemma3", "text_config": LLAMA}
    assert config_file.size(nested, "width") == 16
    assert config_file.context_length(nested) == 32
    assert config_file.size({"text_config": [1]}, "width") == 0


@pytest.mark.parametrize(
    ("changes", "limit"),
    [
        ({}, 32),
        ({"rope_scaling": None}, 32),
        ({"rope_scaling": {"type": "linear", "factor": 4.0}}, 128),
        ({"rope_parameters": {"rope_type": "dynamic", "factor": 2}}, 64),
        ({"rope_parameters": {"full_attention": {"rope_type": "linear", "factor": 8.0}}}, 256),
        ({"rope_scaling": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 8}}, 32),
        ({"rope_scaling": {"rope_type": "linear", "factor": "x"}}, 32),
        ({"rope_scaling": "linear"}, 32),
        ({"max_position_embeddings": None}, None),
        ({"max_position_embeddings": "long"}, None),
        ({"max_position_embeddings": None, "n_positions": 16}, 16),
    ],
)
def test_context_length(changes, limit):
    assert config_file.context_length(LLAMA | changes) == limit


def test_rows_that_are_longer_than_the_context_name_their_key():
    config_file.refuse_longer_rows(LLAMA, 32, "m")
    with pytest.raises(CheckpointError, match=r"^rows\.block_length: found 33, but m was trained for 32 positions"):
        config_file.refuse_longer_rows(LLAMA, 33, "m")


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("quantization_config", {"quant_method": "gptq", "bits": 4}, r"quantised weights \('gptq'\)"),
        ("quantization_config", {"load_in_8bit": True}, r"quantised weights \('bitsandbytes'\)"),
        ("quantization_config", "awq", r"quantised weights \('awq'\)"),
        ("compression_config", {"format": "pack-quantized"}, "quantised weights;"),
    ],
)
def test_quantised_weights_are_refused_by_name(key, value, said):
    with pytest.raises(CheckpointError, match=rf"^folder/config.json: {key}: found {said}.*dequantise"):
        config_file.refuse_unusable(LLAMA | {key: value}, "folder")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"[]", r"found JSON, but \[\] in place of an object"),
        (b"null", "found JSON, but None in place of an object"),
        (b"{", r"found no JSON \(Expecting property name"),
        (b"", r"found no JSON \(Expecting value"),
        (b'{"a": "\xff"}', r"found no JSON \(.*codec can't decode"),
        (b"[" * 100_000, "found no JSON"),
        (b"version https://git-lfs.github.com/spec/v1\n", "found a git-LFS pointer"),
        (b"<!DOCTYPE html>", "found a web page"),
    ],
)
def test_a_config_that_cannot_be_read_is_named_in_its_own_job(tmp_path, content, said):
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(CheckpointError, match=f"^{tmp_path}/config.json: {said}"):
        config_file.read_config(str(tmp_path))
    assert config_file.config_if_readable(str(tmp_path)) == {}


def test_folders_without_a_config(tmp_path):
    with pytest.raises(CheckpointError, match="not a checkpoint: there is no such folder"):
        config_file.read_config(str(tmp_path / "nowhere"))
    with pytest.raises(CheckpointError, match=r"not a checkpoint: it holds no config\.json"):
        config_file.read_config(str(tmp_path))
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(CheckpointError, match="holds an adapter .*merge_and_unload"):
        config_file.read_config(str(tmp_path))
