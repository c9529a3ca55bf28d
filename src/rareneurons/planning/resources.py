"""What a job works on, read from its input files, for the formulas in ``planning.costs``.

Sizes are read once a job's inputs are there, just before it starts. Until then (in a plan, or for a job whose input
another job of its group makes) a missing file counts as nothing.
"""

import json
import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from rareneurons.model_folders import folders
from rareneurons.model_folders.config_file import config_if_readable
from rareneurons.planning import costs


def request(
    stage: str, sizes: costs.Sizes, config: Mapping[str, Any], attempt: int = 1, accelerator: bool = False
) -> costs.Request:
    """Threads, memory and time of a job.

    Args:
        stage: which formula of ``costs.ESTIMATES``.
        sizes: what the job works on.
        config: the validated configuration.
        attempt: number of the start, from 1; a job that was killed for its memory asks for more.
        accelerator: whether an accelerator does the work.
    """
    return costs.request(costs.ESTIMATES[stage](sizes, config), attempt, accelerator)


def stage_of(measure: str) -> str:
    """Formula of a measure: the one of its name, or that of small jobs, which grows with the input files."""
    return measure if measure in costs.ESTIMATES else "small"


def sizes_of_files(files: Iterable[str | Path]) -> costs.Sizes:
    """Sizes of a job that reads files, and neither opens a checkpoint nor computes with one's last layer."""
    return costs.Sizes(_megabytes(files))


def sizes_of_checkpoint(
    files: Iterable[str | Path], folder: str | Path, last_layer: str | Path | None = None
) -> costs.Sizes:
    """Sizes of a job that opens a checkpoint.

    Args:
        files: the job's input files.
        folder: holds the checkpoint's config.json and weights.
        last_layer: the arrays of its last layer, where the job gets them; they say whether there is a closed form.
    """
    weights = [file for file in folders.checkpoint_files(str(folder)) if not file.endswith(".json")]
    shape = costs.shape_of(config_if_readable(str(folder)))
    if last_layer is not None:
        shape = replace(shape, closed_form=costs.shape_of_arrays(_array_shapes(last_layer)).closed_form)
    return costs.Sizes(_megabytes(files), _megabytes(weights), shape)


def sizes_of_last_layer(
    files: Iterable[str | Path], last_layer: str | Path, trace: str | Path | None = None
) -> costs.Sizes:
    """Sizes of a job that computes with the arrays of a last layer and, if it is given, of a trace."""
    shape = costs.shape_of_arrays(_array_shapes(last_layer))
    rows = _array_shapes(trace).get("activation", [0])[0] if trace else 0
    return costs.Sizes(_megabytes(files), 0, shape, rows)


def sizes_of_training(
    files: Iterable[str | Path], model: Mapping[str, Any], tokenizer: Mapping[str, Any]
) -> costs.Sizes:
    """Sizes of a model's training, by its and its tokenizer's entries in the configuration."""
    return costs.sizes_of_training(model, tokenizer.get("vocabulary_size", 0), _megabytes(files))


def accelerators(device: str) -> int:
    """How many accelerators are requested by a job that runs on the configured device.

    ``auto`` takes one where the machine that plans the jobs has ``nvidia-smi``.
    """
    return int(device == "cuda" or (device == "auto" and shutil.which("nvidia-smi") is not None))


def weights_slots(model: Mapping[str, Any], keep: Mapping[str, Any]) -> int:
    """How much of the resource ``weights`` a job takes that lies between a checkpoint's download and its deletion.

    These jobs go before downloads (``priority``), so one starts only when fewer than ``weights`` checkpoints are in
    work: that many are on disk at most. Naming finished work as a download's input would do the same, but then an added
    checkpoint, or one that fails, would reach its neighbours.

    Args:
        model: the model's entry in the configuration.
        keep: the configuration's ``keep``.
    """
    return int(model["source"] == "hub" and not keep["weights"])


def _megabytes(paths: Iterable[str | Path]) -> float:
    return sum(map(_bytes_of, paths)) / costs.MB


def _bytes_of(path: str | Path) -> int:
    """Of a file, or of all files in a folder; 0 where there is none."""
    if os.path.isdir(path):
        return sum(map(_bytes_of, (entry.path for entry in os.scandir(path))))
    return os.path.getsize(path) if os.path.exists(path) else 0


def _array_shapes(path: str | Path) -> dict[str, list[int]]:
    """Name -> shape of a safetensors file's arrays, by its header; nothing where there is none, or a damaged one."""
    try:
        with open(path, "rb") as file:
            header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        return {name: entry["shape"] for name, entry in header.items() if name != "__metadata__"}
    except Exception:  # noqa: BLE001  whatever it is: a plan goes on without, and the job that reads the file names it
        return {}
