"""What the files of local models say, compared with the configuration before any job starts."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rareneurons.errors import ConfigurationError
from rareneurons.model_folders.config_file import config_if_readable, context_length, differing_sizes, too_long
from rareneurons.model_folders.folders import adapter_in


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
    different = differing_sizes(described)
    if different:
        raise ConfigurationError(f"{where}.folders: {model['name']}: {different}")
