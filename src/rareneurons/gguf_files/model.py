"""A GGUF file's model as an ordinary folder: config.json, and weights dequantised to float32.

The changes that llama.cpp's converter makes to names and order of the weights are undone. Settings beyond the plain
form of the architecture are refused: without them, the model would silently be a different one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gguf import MODEL_ARCH, GGUFReader, get_tensor_name_map
from safetensors.torch import save_file
from transformers import CONFIG_MAPPING, AutoModelForCausalLM, PreTrainedConfig

from rareneurons.errors import CheckpointError
from rareneurons.gguf_files.reading import FETCH_AGAIN, dequantised, open_gguf, quantisation, value_of

UNEMBEDDING, EMBEDDING = "lm_head.weight", "model.embed_tokens.weight"


@dataclass(frozen=True)
class Family:
    """An architecture as GGUF files name it.

    ``tensors`` decides the tensors' names; ``interleaved``: whether llama.cpp's converter puts the two halves of each
    head's queries and keys in turns, for its form of rotary positions.
    """

    model_type: str
    tensors: MODEL_ARCH
    interleaved: bool


# `general.architecture` -> family. Mistral's files say llama.
FAMILIES = {
    "llama": Family("llama", MODEL_ARCH.LLAMA, interleaved=True),
    "qwen2": Family("qwen2", MODEL_ARCH.QWEN2, interleaved=False),
    "qwen3": Family("qwen3", MODEL_ARCH.QWEN3, interleaved=False),
}
# Keys below the architecture's name -> the setting of transformers.
NEEDED = {
    "context_length": "max_position_embeddings",
    "embedding_length": "hidden_size",
    "block_count": "num_hidden_layers",
    "feed_forward_length": "intermediate_size",
    "attention.head_count": "num_attention_heads",
}
EPSILON = "attention.layer_norm_rms_epsilon"
OTHER_KEYS = {EPSILON, "attention.head_count_kv", "rope.freq_base", "vocab_size"}
HEAD_WIDTHS = ("attention.key_length", "attention.value_length", "rope.dimension_count")
# Keys that change nothing if they have this value; with any other one the model is not the plain one.
NEUTRAL = {"rope.scaling.type": "none", "expert_count": 0, "expert_used_count": 0, "attention.causal": True}
ROPE_BASE = 10000.0  # llama.cpp's default


def unpack_model(file: str, folder: str) -> dict[str, Any]:
    """Write a GGUF file's model as ``config.json`` and ``model.safetensors``, float32.

    Args:
        file: path of the GGUF file.
        folder: is there, and gets the two files.

    Returns:
        What the file says of itself: ``architecture``, ``name`` and ``license`` (empty where it says none), and
        ``quantisation`` (type -> share of the weights).

    Raises:
        CheckpointError: no GGUF file, a damaged one, an architecture or a type of numbers that cannot be used, settings
            that the plain architecture does not have, or weights that are not those of the settings.
    """
    opened = open_gguf(file)
    family = family_of(opened, file)
    config = config_of(opened, family, file)
    weights = weights_of(opened, config, family, file)
    config.save_pretrained(folder)
    save_file(weights, Path(folder) / "model.safetensors", metadata={"format": "pt"})
    said = {key: value_of(opened, f"general.{key}") or "" for key in ("architecture", "name", "license")}
    return said | {"quantisation": quantisation(opened)}


def family_of(opened: GGUFReader, file: str) -> Family:
    """Family of the file's architecture.

    Raises:
        CheckpointError: the file names none, or one that is not read.
    """
    found = value_of(opened, "general.architecture")
    if found not in FAMILIES:
        raise CheckpointError(
            f"{file}: general.architecture: found {found!r}; expected one of {', '.join(FAMILIES)}. Use the model in "
            "the form that save_pretrained writes (source: local, or hub)"
        )
    return FAMILIES[found]


def config_of(opened: GGUFReader, family: Family, file: str) -> PreTrainedConfig:
    """The model's settings as transformers names them.

    Raises:
        CheckpointError: a setting is missing or is no whole number above 0, or is none of the plain architecture.
    """
    architecture = value_of(opened, "general.architecture")
    said = {
        key.removeprefix(f"{architecture}."): value_of(opened, key)
        for key in opened.fields
        if key.startswith(f"{architecture}.")
    }
    sizes = {setting: _size(said, key, f"{file}: {architecture}.{key}") for key, setting in NEEDED.items()}
    if not isinstance(said.get(EPSILON), float):
        raise CheckpointError(f"{file}: {architecture}.{EPSILON}: found none; {FETCH_AGAIN}")
    heads = sizes["num_attention_heads"]
    head_width = said.get("attention.key_length", sizes["hidden_size"] // heads)
    _refuse_other_settings(said, head_width, f"{file}: {architecture}")
    names = {tensor.name for tensor in opened.tensors}
    embedding = next((tensor for tensor in opened.tensors if tensor.name == "token_embd.weight"), None)
    if embedding is None:
        raise CheckpointError(f"{file}: holds no token_embd.weight, so it is no whole model. {FETCH_AGAIN}")
    special = {name: value_of(opened, f"tokenizer.ggml.{name}") for name in ("bos_token_id", "eos_token_id")}
    grouped = "attention.head_count_kv"
    settings: dict[str, Any] = {
        **sizes,
        **special,
        "vocab_size": int(embedding.shape[1]),
        "num_key_value_heads": _size({grouped: heads, **said}, grouped, f"{file}: {architecture}.{grouped}"),
        "head_dim": head_width,
        "rms_norm_eps": said[EPSILON],
        "rope_parameters": {"rope_type": "default", "rope_theta": float(said.get("rope.freq_base", ROPE_BASE))},
        "tie_word_embeddings": "output.weight" not in names,
        "dtype": "float32",
    }
    try:
        return CONFIG_MAPPING[family.model_type](**settings)
    except Exception as error:  # whatever class transformers checks settings with
        raise CheckpointError(
            f"{file}: {architecture}: found {' '.join(str(error).split())}; expected what transformers' "
            f"{family.model_type} takes. {FETCH_AGAIN}"
        ) from error


def _size(said: Mapping[str, Any], key: str, where: str) -> int:
    found = said.get(key)
    if not isinstance(found, int) or found <= 0:
        raise CheckpointError(f"{where}: found {found!r}; expected a whole number above 0. {FETCH_AGAIN}")
    return found


def _refuse_other_settings(said: Mapping[str, Any], head_width: int, where: str) -> None:
    read = {*NEEDED, *OTHER_KEYS}
    for key, found in said.items():
        expected = head_width if key in HEAD_WIDTHS else NEUTRAL.get(key)
        if key not in read and found != expected:
            wanted = f"expected {expected!r}" if expected is not None else "the plain architecture has no such setting"
            raise CheckpointError(
                f"{where}.{key}: found {found!r}; {wanted}, and without it this would be another model. Use the model "
                "in the form that save_pretrained writes (source: local, or hub)"
            )


def weights_of(opened: GGUFReader, config: PreTrainedConfig, family: Family, file: str) -> dict[str, torch.Tensor]:
    """Every weight under the name that transformers gives it, float32; a tied unembedding is left out.

    Raises:
        CheckpointError: weights are missing, left over, of another shape, or of a type that cannot be dequantised.
    """
    with torch.device("meta"):
        state: Mapping[str, torch.Tensor] = AutoModelForCausalLM.from_config(config).state_dict()
    shapes = {name: tuple(weight.shape) for name, weight in state.items()}
    if config.tie_word_embeddings:
        del shapes[UNEMBEDDING]
    names = get_tensor_name_map(family.tensors, config.num_hidden_layers)
    of_tensor = {str(names.get_name(name, try_suffixes=(".weight", ".bias"))): name for name in shapes}
    tensors = {tensor.name: tensor for tensor in opened.tensors}
    for problem, found in (
        ("weights are missing", sorted(set(of_tensor) - set(tensors))),
        (f"tensors are none of a plain {family.model_type}", sorted(set(tensors) - set(of_tensor))),
    ):
        if found:
            raise CheckpointError(f"{file}: {len(found)} {problem}, first {found[0]!r}. {FETCH_AGAIN}")
    weights = {}
    for tensor_name, name in of_tensor.items():
        values = dequantised(tensors[tensor_name], file)
        if values.shape != shapes[name]:
            raise CheckpointError(
                f"{file}: tensor {tensor_name!r} has the shape {values.shape}; expected {shapes[name]} by the file's "
                f"own metadata. {FETCH_AGAIN}"
            )
        if family.interleaved and name.endswith(("q_proj.weight", "k_proj.weight")):
            values = halves_apart(values, config.head_dim)
        weights[name] = torch.from_numpy(np.ascontiguousarray(values))
    return weights


def halves_apart(weights: np.ndarray, head_width: int) -> np.ndarray:
    """Rows of a query or key matrix in transformers' order, (heads * head_width, d).

    Rotary positions turn pairs of rows. In the file the two rows of a pair follow each other; transformers has the
    first rows of all pairs of a head before the second ones.
    """
    rows, width = weights.shape
    pairs = weights.reshape(rows // head_width, head_width // 2, 2, width)
    return pairs.swapaxes(1, 2).reshape(rows, width)
