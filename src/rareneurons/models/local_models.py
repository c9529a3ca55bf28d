"""What the files of local models say, held against the configuration before any job starts."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rareneurons.errors import ConfigurationError
from rareneurons.models.config_file import compared_sizes, config_if_readable, context_length, too_long
from rareneurons.models.folders import adapter_in


def refuse_local_models(config: Mapping[str, Any]) -> None:
    """Raise where a local model's files show that the run cannot succeed.

    A config.json that cannot be read is passed over: its own job says so, and the other models finish.

    Args:
        config: passed ``configuration.expanded`` and ``configuration.validate_sense``.

    Raises:
        ConfigurationError: an adapter; rows that are longer than a model's context; checkpoints of different sizes.
    """
    for number, model in enumerate(config["models"]):
        if model["source"] == "local":
            _refuse_local_model(model, f"models[{number}]", config["rows"]["block_length"])


def _refuse_local_model(model: Mapping[str, Any], where: str, block_length: int) -> None:
    described: dict[str, dict[str, Any]] = {}
    for checkpoint, folder in model["folders"].items():
        adapter = adapter_in(entry.name for entry in Path(folder).glob("*"))
        if adapter:
            raise ConfigurationError(f"{where}.folders.{checkpoint}: {folder!r} {adapter}")
        described[checkpoint] = config_if_readable(folder)
        limit = context_length(described[checkpoint])
        if limit is not None and block_length > limit:
            name = f"{where} ({model['name']}, {folder})"
            raise ConfigurationError(too_long(block_length, limit, name))
    _refuse_other_sizes(described, where, model["name"])


def _refuse_other_sizes(described: Mapping[str, Mapping[str, Any]], where: str, name: str) -> None:
    """Raise unless all checkpoints of a model that say a size say the same."""
    by_size: dict[str, dict[int, list[str]]] = {}
    for checkpoint, content in described.items():
        for key, value in compared_sizes(content).items():
            by_size.setdefault(key, {}).setdefault(value, []).append(checkpoint)
    for key, found in by_size.items():
        if len(found) > 1:
            shown = "; ".join(f"{value} at {', '.join(checkpoints)}" for value, checkpoints in found.items())
            raise ConfigurationError(
                f"{where}.folders: the checkpoints of {name} differ in {key}: {shown}. Expected checkpoints of one "
                "model; give each model an entry of its own in `models`"
            )
