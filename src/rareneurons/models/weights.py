"""Weight matrices of a checkpoint folder, read without building the model."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open

from rareneurons.errors import CheckpointError


def stored_tensors(folder: str) -> Iterator[tuple[str, torch.Tensor]]:
    """Name and value of every tensor in a folder's safetensors files or, without those, its ``.bin`` files.

    ``.bin`` files are read with ``weights_only``: nothing in them runs.

    Raises:
        CheckpointError: the folder has neither.
    """
    files = sorted(Path(folder).glob("*.safetensors"))
    for file in files:
        with safe_open(file, framework="pt") as stored:
            for name in stored.keys():  # noqa: SIM118  safe_open is no dictionary
                yield name, stored.get_tensor(name)
    if files:
        return
    pickled = sorted(Path(folder).glob("pytorch_model*.bin"))
    if not pickled:
        raise CheckpointError(f"{folder}: holds no *.safetensors and no pytorch_model*.bin; fetch or save it again")
    for file in pickled:
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
                f"{folder}: weight {name!r} holds NaN or infinite values; nothing was computed. "
                "Fetch the checkpoint again or leave it out of `checkpoints`"
            )
        if tensor.ndim == 2:
            matrices[name] = tensor.float().numpy()
        else:
            matrices |= {f"{name}.{number}": matrix.float().numpy() for number, matrix in enumerate(tensor)}
    return matrices
