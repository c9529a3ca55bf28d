"""What a checkpoint's config.json says, without transformers: planning a run reads it, too, and imports nothing large.

All code that reads the file uses these functions. Unusable settings are refused in the model's own job
(:func:`refuse_unusable`); planning treats a setting that is missing, or is no whole number, as unknown.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rareneurons.errors import LEAVE_OUT, CheckpointError
from rareneurons.model_folders.folders import adapter_in, stand_in

LARGEST_SIZE = 2**40
# A size -> its names, in the words of different families.
NEEDED = {
    "layers": ("num_hidden_layers", "n_layer"),
    "width": ("hidden_size", "n_embd"),
    "heads": ("num_attention_heads", "n_head"),
    "vocabulary": ("vocab_size",),
}
OPTIONAL = {
    "neurons": ("intermediate_size", "n_inner"),
    "key_value_heads": ("num_key_value_heads",),
    "head_width": ("head_dim",),
    "experts": ("num_experts", "num_local_experts"),
    "expert_neurons": ("moe_intermediate_size",),
    "shared_expert_neurons": ("shared_expert_intermediate_size",),
    "positions": ("n_positions", "max_position_embeddings"),
}
NAMES = NEEDED | OPTIONAL
COMPARED = ("layers", "width", "heads", "neurons", "vocabulary")  # the same at all checkpoints of a model
QUANTISED = ("quantization_config", "compression_config")
# How a model would be run, not what it is; the analysis decides that itself.
ABOUT_RUNNING = ("_attn_implementation", "attn_implementation", "_experts_implementation", "torch_dtype", "dtype")


def read_config(folder: str) -> dict[str, Any]:
    """Content of a folder's config.json.

    Raises:
        CheckpointError: there is none, it holds no JSON object, or the folder is an adapter's.
    """
    file = Path(folder) / "config.json"
    if not Path(folder).is_dir():
        raise CheckpointError(f"{folder}: not a checkpoint: there is no such folder. {LEAVE_OUT}")
    adapter = adapter_in(entry.name for entry in Path(folder).iterdir())
    if adapter:
        raise CheckpointError(f"{folder}: {adapter}")
    if not file.is_file():
        raise CheckpointError(
            f"{folder}: not a checkpoint: it holds no config.json. Expected a folder as save_pretrained writes it. "
            f"{LEAVE_OUT}"
        )
    content = file.read_bytes()
    found = stand_in(content[:200])
    try:
        config = None if found else json.loads(content)
    except (ValueError, RecursionError) as error:
        found = f"no JSON ({error})"
    if not isinstance(config if not found else {}, dict):
        found = f"JSON, but {_shown(config)} in place of an object"
    if found:
        raise CheckpointError(f"{file}: found {found}; expected what save_pretrained writes. {LEAVE_OUT}")
    return config  # type: ignore[return-value]


def config_of(content: bytes) -> dict[str, Any]:
    """What a config.json says whose content is at hand; empty where it is no JSON object."""
    try:
        config = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return config if isinstance(config, dict) else {}


def config_if_readable(folder: str) -> dict[str, Any]:
    """Content of a folder's config.json for planning; empty where it cannot be read, which the job itself reports."""
    try:
        return read_config(folder)
    except (CheckpointError, OSError):
        return {}


def size(config: Mapping[str, Any], name: str) -> int:
    """A size by its name in ``NAMES``; 0 where the file does not say it, or says what is no whole number above 0."""
    for part in _parts(config):
        for key in NAMES[name]:
            if _is_size(part.get(key)):
                return part[key]
    return 0


def compared_sizes(config: Mapping[str, Any]) -> dict[str, int]:
    """The sizes of ``COMPARED`` that the file says, by its own keys."""
    return {
        key: part[key] for name in COMPARED for part in _parts(config) for key in NAMES[name] if _is_size(part.get(key))
    }


def differing_sizes(described: Mapping[str, Mapping[str, Any]]) -> str:
    """In which size a model's checkpoints differ, and which of them; empty where those that say it say the same.

    Args:
        described: checkpoint -> content of its config.json.
    """
    by_size: dict[str, dict[int, list[str]]] = {}
    for checkpoint, content in described.items():
        for key, value in compared_sizes(content).items():
            by_size.setdefault(key, {}).setdefault(value, []).append(checkpoint)
    for key, found in by_size.items():
        if len(found) > 1:
            shown = "; ".join(f"{value} at {', '.join(checkpoints)}" for value, checkpoints in found.items())
            return (
                f"its checkpoints differ in {key}: {shown}. Expected checkpoints of one model; give each model an "
                "entry of its own in `models`"
            )
    return ""


def context_length(config: Mapping[str, Any]) -> int | None:
    """Positions that a model has or, with rotary ones, was trained for; None where the file does not say.

    Where linear or dynamic scaling stretches rotary positions, the stretched length counts.
    """
    positions = size(config, "positions")
    if not positions:
        return None
    return int(positions * max([1.0, *(factor for part in _parts(config) for factor in _stretches(part))]))


def refuse_longer_rows(config: Mapping[str, Any], block_length: int, name: str) -> None:
    """Raise unless a model has a position for every token of a block.

    Args:
        config: content of the model's config.json.
        block_length: tokens of the longest block.
        name: of the model or its folder, for the message.

    Raises:
        CheckpointError: names ``rows.block_length`` and the model's limit.
    """
    limit = context_length(config)
    if limit is not None and block_length > limit:
        raise CheckpointError(too_long(block_length, limit, name))


def too_long(block_length: int, limit: int, name: str) -> str:
    """The message about rows that are longer than a model's context."""
    return (
        f"rows.block_length: found {block_length}, but {name} was trained for {limit} positions; expected at most "
        f"{limit}. Lower rows.block_length, or remove the model"
    )


def refuse_unusable(config: Mapping[str, Any], folder: str) -> None:
    """Raise where a config.json describes weights that cannot be computed with, or says a size that is none.

    Raises:
        CheckpointError: quantised weights; a size that is missing or is no whole number above 0.
    """
    where = f"{folder}/config.json"
    for key in QUANTISED:
        if config.get(key):
            method = _quantised_by(config[key])
            raise CheckpointError(
                f"{where}: {key}: found quantised weights{f' ({_shown(method)})' if method else ''}; expected "
                "floating-point ones. Use the model before its quantisation, or dequantise it and save it with "
                f"save_pretrained. {LEAVE_OUT}"
            )
    for name, keys in NAMES.items():
        for key in keys:
            left_open = name in OPTIONAL and config.get(key) in (None, 0)
            if key in config and not left_open and not _is_size(config[key]):
                raise CheckpointError(
                    f"{where}: {key}: found {_shown(config[key])}; expected a whole number above 0. {LEAVE_OUT}"
                )
    for keys in NEEDED.values():
        if not any(key in config for key in keys):
            raise CheckpointError(
                f"{where}: says no {' and no '.join(keys)}; without it a size would be guessed. Copy the model's own "
                f"config.json there. {LEAVE_OUT}"
            )


def _quantised_by(entry: Any) -> str:
    """Name of the method that quantised; bitsandbytes is older than the key that names it."""
    if not isinstance(entry, dict):
        return entry if isinstance(entry, str) else ""
    old = "bitsandbytes" if entry.get("load_in_8bit") or entry.get("load_in_4bit") else ""
    return str(entry.get("quant_method") or old)


def _is_size(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= LARGEST_SIZE


def _parts(config: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The configuration and, in models of more than text, the part about text."""
    yield config
    if isinstance(config.get("text_config"), dict):
        yield config["text_config"]


def _stretches(config: Mapping[str, Any]) -> Iterator[float]:
    """Factors by which rotary positions are stretched, for one kind of layer or for all."""
    for key in ("rope_scaling", "rope_parameters"):
        scaling = config.get(key)
        if not isinstance(scaling, dict):
            continue
        for entry in (scaling, *scaling.values()):
            if isinstance(entry, dict) and entry.get("rope_type", entry.get("type")) in ("linear", "dynamic"):
                factor = entry.get("factor")
                if isinstance(factor, int | float) and 1 <= factor < LARGEST_SIZE:
                    yield factor


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]} ..."
