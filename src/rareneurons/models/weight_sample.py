"""A small sample of a checkpoint's weights, read from its files in parts, also over a network.

The sample is the same stretch of the same matrices at every checkpoint of a run, so that the distance between two
samples estimates the distance between the checkpoints from a thousandth of their size.
"""

import math
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import BinaryIO

import numpy as np
import torch

from rareneurons.errors import LEAVE_OUT, CheckpointError
from rareneurons.models.weights import Place, damage_named, is_of_old_format, places_in

MATRICES = 24  # sampled of a checkpoint, evenly spread over its matrices in the order of their names
VALUES = 4096  # sampled of a matrix, from its middle


def values_at(file: BinaryIO, place: Place) -> np.ndarray:
    """``VALUES`` values from the middle of a matrix, or all if it has fewer, float32."""
    n_all, size = math.prod(place.shape), place.dtype.itemsize
    n_values = min(VALUES, n_all)
    file.seek((place.offset or 0) + (n_all - n_values) // 2 * size)
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
        CheckpointError: a file cannot be used (:func:`places_in`), or a value is NaN or infinite.
    """
    places: dict[str, Place] = {}
    for name in names:
        if name.endswith((".safetensors", ".bin")):
            with damage_named(name), opened(name) as file:
                if not (name.endswith(".bin") and is_of_old_format(file)):
                    places |= places_in(name, file)
    places = {key: place for key, place in places.items() if len(place.shape) == 2 and place.offset is not None}
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
