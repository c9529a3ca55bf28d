"""A small sample of a checkpoint's weights, read from its files in parts, also over a network.

The sample is the same stretch of the same matrices at every checkpoint of a run, so that the distance between two
samples estimates the distance between the checkpoints for a thousandth of their size.
"""

import json
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from rareneurons.errors import LEAVE_OUT, CheckpointError
from rareneurons.models.weights import damage_named

MATRICES = 24  # sampled of a checkpoint, evenly spread over its matrices in the order of their names
VALUES = 4096  # sampled of a matrix, from its middle
HEADER_BYTES = 100_000_000  # longest header of a safetensors file, by its specification
DTYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}


@dataclass(frozen=True)
class Place:
    """Where the values of a matrix lie in a file: first byte, number of values, type."""

    file: str
    offset: int
    n_values: int
    dtype: torch.dtype


def matrices_in_safetensors(name: str, file: BinaryIO) -> dict[str, Place]:
    """Places of a safetensors file's floating-point matrices by parameter name; only the header is read."""
    length = int.from_bytes(file.read(8), "little")
    if length > HEADER_BYTES:
        raise ValueError("its header is too long")
    header = json.loads(file.read(length))
    described = 8 + length + max((entry["data_offsets"][1] for entry in tensors_of(header).values()), default=0)
    if file.seek(0, 2) != described:
        raise ValueError(f"it holds {file.tell()} bytes, its header describes {described}")
    return {
        key: Place(name, 8 + length + entry["data_offsets"][0], int(np.prod(entry["shape"])), DTYPES[entry["dtype"]])
        for key, entry in tensors_of(header).items()
        if len(entry["shape"]) == 2 and entry["dtype"] in DTYPES
    }


def tensors_of(header: dict[str, dict]) -> dict[str, dict]:
    """A safetensors header's entries that describe tensors."""
    return {key: entry for key, entry in header.items() if key != "__metadata__"}


def matrices_in_bin(name: str, file: BinaryIO) -> dict[str, Place]:
    """The same for a ``.bin`` file; its description is unpickled with ``weights_only``, no value is read."""
    if file.read(2) != b"PK":  # not a zip archive: PyTorch before 1.6, which only reads it whole
        return {}
    file.seek(0)
    with FakeTensorMode():
        tensors = torch.load(file, weights_only=True)
    return {
        key: Place(
            name,
            tensor.untyped_storage()._checkpoint_offset + tensor.storage_offset() * tensor.element_size(),
            tensor.numel(),
            tensor.dtype,
        )
        for key, tensor in tensors.items()
        if tensor.ndim == 2 and tensor.is_floating_point() and tensor.is_contiguous()
    }


def values_at(file: BinaryIO, place: Place) -> np.ndarray:
    """``VALUES`` values from the middle of a matrix, or all if it has fewer, float32."""
    n_values = min(VALUES, place.n_values)
    size = place.dtype.itemsize
    file.seek(place.offset + (place.n_values - n_values) // 2 * size)
    content = bytearray(file.read(n_values * size))
    if len(content) < n_values * size:
        raise ValueError("it ends before its last matrix does")
    return torch.frombuffer(content, dtype=place.dtype).float().numpy()


def weight_sample(
    names: Iterable[str], opened: Callable[[str], AbstractContextManager[BinaryIO]]
) -> dict[str, np.ndarray]:
    """Sample of a checkpoint's matrices.

    Args:
        names: the files that hold its weights; an index among them is passed over.
        opened: opens one of them for reading in parts.

    Returns:
        Parameter name -> values, float32; empty where a file is no such file (a ``.bin`` of PyTorch before 1.6).

    Raises:
        CheckpointError: a file is damaged, a ``.bin`` holds anything but tensors, or a value is NaN or infinite.
    """
    places: dict[str, Place] = {}
    for name in names:
        if name.endswith((".safetensors", ".bin")):
            matrices_in = matrices_in_bin if name.endswith(".bin") else matrices_in_safetensors
            with damage_named(name), opened(name) as file:
                places |= matrices_in(name, file)
    if not places:
        return {}
    keys = sorted(places)
    chosen = [keys[number] for number in np.unique(np.linspace(0, len(keys) - 1, MATRICES).astype(int))]
    sample = {}
    for holder in sorted({places[key].file for key in chosen}):
        with damage_named(holder), opened(holder) as file:
            for key in chosen:
                if places[key].file == holder:
                    sample[key] = values_at(file, places[key])
    for key, values in sample.items():
        if not np.isfinite(values).all():
            raise CheckpointError(f"weight {key!r} holds NaN or infinite values. {LEAVE_OUT}")
    return sample
