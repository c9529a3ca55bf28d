"""Weights of a checkpoint folder, read without building the model."""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open

from rareneurons.errors import LEAVE_OUT, CheckpointError, RareNeuronsError


def weight_files(names: Iterable[str]) -> list[str]:
    """Of a checkpoint's file names those that transformers reads the weights from, an index before its shards.

    Safetensors go before ``.bin`` files, a single file before shards. Empty where there are no weights.
    """
    names = set(names)
    for stem, suffix in (("model", "safetensors"), ("pytorch_model", "bin")):
        single, index = f"{stem}.{suffix}", f"{stem}.{suffix}.index.json"
        if single in names:
            return [single]
        shards = sorted(name for name in names if fnmatch(name, f"{stem}-*-of-*.{suffix}") and "/" not in name)
        if index in names and shards:
            return [index, *shards]
    return []


def refuse_foreign_shards(folder: str) -> None:
    """Raise unless a folder's index, where it has one, names shards of this folder alone.

    Transformers follows whatever path an index holds: another model's weights could run under this one's name.

    Raises:
        CheckpointError: a shard lies elsewhere, is not there, or the index cannot be read.
    """
    names = {path.name for path in Path(folder).glob("*")}
    index = _index_followed(names)
    if index is None:
        return
    with damage_named(f"{folder}/{index}"):
        shards = set(json.loads((Path(folder) / index).read_text(encoding="utf-8"))["weight_map"].values())
    foreign = sorted(shards - set(weight_files(names)))
    if foreign:
        raise CheckpointError(
            f"{folder}/{index}: names {foreign[0]!r}, which is no shard in this folder; expected files beside the "
            f"index. {LEAVE_OUT}"
        )


def _index_followed(names: set[str]) -> str | None:
    for single in ("model.safetensors", "pytorch_model.bin"):
        if single in names:
            return None
        if f"{single}.index.json" in names:
            return f"{single}.index.json"
    return None


@contextmanager
def damage_named(file: str) -> Iterator[None]:
    """Turn whatever a reader raises over a damaged file into one message.

    Raises:
        CheckpointError: names the file, and the reader's first line.
    """
    try:
        yield
    except RareNeuronsError:
        raise
    except Exception as error:
        raise CheckpointError(f"{file}: cannot be read: {reason_of(error)}. {LEAVE_OUT}") from error


def reason_of(error: Exception) -> str:
    """The first sentence of a reader's message, without PyTorch's advice to let a file run code."""
    if "Weights only load failed" in str(error):
        return "it holds more than tensors, which could run code when it is read, or is no checkpoint; refused"
    return re.split(r"\n|\. ", str(error).strip())[0] or type(error).__name__


def sha256_of(file: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with open(file, "rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def stored_tensors(folder: str) -> Iterator[tuple[str, torch.Tensor]]:
    """Name and value of every tensor in a folder's safetensors files or, without those, its ``.bin`` files.

    ``.bin`` files are read with ``weights_only``: nothing in them runs.

    Raises:
        CheckpointError: the folder has neither, or a file is damaged.
    """
    refuse_foreign_shards(folder)
    names = weight_files(path.name for path in Path(folder).glob("*"))
    if not names:
        raise CheckpointError(f"{folder}: holds no model*.safetensors and no pytorch_model*.bin. {LEAVE_OUT}")
    for file in (Path(folder) / name for name in names):
        with damage_named(str(file)):
            if file.suffix == ".safetensors":
                with safe_open(file, framework="pt") as stored:
                    for key in stored.keys():  # noqa: SIM118  safe_open is no dictionary
                        yield key, stored.get_tensor(key)
            elif file.suffix == ".bin":
                yield from torch.load(file, map_location="cpu", weights_only=True).items()


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
                f"{folder}: weight {name!r} holds NaN or infinite values; nothing was computed. {LEAVE_OUT}"
            )
        if tensor.ndim == 2:
            matrices[name] = tensor.float().numpy()
        else:
            matrices |= {f"{name}.{number}": matrix.float().numpy() for number, matrix in enumerate(tensor)}
    return matrices
