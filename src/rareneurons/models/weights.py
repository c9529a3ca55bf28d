"""Weights of a checkpoint folder, read without building the model."""

import hashlib
from collections.abc import Iterable, Iterator
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open

from rareneurons.errors import CheckpointError


def weight_files(names: Iterable[str]) -> list[str]:
    """Of a checkpoint's file names those that transformers reads the weights from, an index before its shards.

    Safetensors go before ``.bin`` files, a single file before shards. Empty where there are no weights.
    """
    names = set(names)
    for stem, suffix in (("model", "safetensors"), ("pytorch_model", "bin")):
        single, index = f"{stem}.{suffix}", f"{stem}.{suffix}.index.json"
        if single in names:
            return [single]
        shards = sorted(name for name in names if fnmatch(name, f"{stem}-*-of-*.{suffix}"))
        if index in names and shards:
            return [index, *shards]
    return []


def sha256_of(file: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with open(file, "rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def stored_tensors(folder: str) -> Iterator[tuple[str, torch.Tensor]]:
    """Name and value of every tensor in a folder's safetensors files or, without those, its ``.bin`` files.

    ``.bin`` files are read with ``weights_only``: nothing in them runs.

    Raises:
        CheckpointError: the folder has neither.
    """
    names = weight_files(path.name for path in Path(folder).glob("*"))
    if not names:
        raise CheckpointError(
            f"{folder}: holds no model*.safetensors and no pytorch_model*.bin; fetch or save it again"
        )
    for name in names:
        if name.endswith(".safetensors"):
            with safe_open(Path(folder) / name, framework="pt") as stored:
                for key in stored.keys():  # noqa: SIM118  safe_open is no dictionary
                    yield key, stored.get_tensor(key)
        elif name.endswith(".bin"):
            yield from torch.load(Path(folder) / name, map_location="cpu", weights_only=True).items()


def weight_matrices(folder: str) -> dict[str, np.ndarray]:
    """Every two-dimensional weight by parameter name, float32; tied matrices once, attention masks left out.

    Experts that a file holds in one array (experts, outputs, inputs) are a matrix each, ``<name>.<expert>``.

    Raises:
        CheckpointError: no weights, or one that is NaN or infinite.
    """
    matrices = {}
    for name, tensor in stored_tensors(folder):
        if tensor.ndim not in (2, 3) or not tensor.is_floating_point():
            continue
        if not torch.isfinite(tensor).all():
            raise CheckpointError(
                f"{folder}: weight {name!r} holds NaN or infinite values; nothing was computed. "
                "Fetch the checkpoint again or leave it out of `checkpoints`"
            )
        if tensor.ndim == 2:
            matrices[name] = tensor.float().numpy()
        else:
            matrices |= {f"{name}.{number}": matrix.float().numpy() for number, matrix in enumerate(tensor)}
    return matrices
