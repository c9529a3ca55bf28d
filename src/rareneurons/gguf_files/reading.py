"""A GGUF file, checked before it is used: its metadata, its tensors, and how they are quantised.

The format is that of llama.cpp (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md); its package ``gguf`` reads
the file.
"""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGUFReader, ReaderTensor, dequantize

from rareneurons.errors import CheckpointError, DamagedFileError
from rareneurons.model_folders.folders import stand_in
from rareneurons.models.weights import is_want_of_memory, reason_of

FETCH_AGAIN = "Fetch the file again, or remove what names it from the configuration"
MAGIC = b"GGUF"


def open_gguf(file: str) -> GGUFReader:
    """The file's metadata and tensors; tensors stay on disk.

    Raises:
        CheckpointError: it is no GGUF file, or one part of several.
        DamagedFileError: it is cut off or damaged.
    """
    with Path(file).open("rb") as content:
        start = content.read(200)
    found = stand_in(start) or ("" if start.startswith(MAGIC) else f"a file that begins with {start[:4]!r}")
    if found:
        raise CheckpointError(f"{file}: found {found}; expected a GGUF file. {FETCH_AGAIN}")
    try:
        opened = GGUFReader(file)
    except Exception as error:
        if is_want_of_memory(error):
            raise
        raise DamagedFileError(
            f"{file}: cannot be read as GGUF: it holds {Path(file).stat().st_size} bytes and is cut off or damaged "
            f"({reason_of(error)}). {FETCH_AGAIN}"
        ) from error
    parts = value_of(opened, "split.count")
    if parts not in (None, 0, 1):
        raise CheckpointError(
            f"{file}: found one of {parts} parts of a model; expected a whole one. Merge them with llama.cpp's "
            "`gguf-split --merge`"
        )
    return opened


def value_of(opened: GGUFReader, key: str) -> Any:
    """Value of a key of the metadata: a number, text or list; None where the file does not say it."""
    field = opened.get_field(key)
    return None if field is None else field.contents()


def quantisation(opened: GGUFReader) -> dict[str, float]:
    """Type of number -> share of the file's weights that have it, the most frequent type first."""
    weights: Counter[str] = Counter()
    for tensor in opened.tensors:
        weights[tensor.tensor_type.name] += int(tensor.n_elements)
    total = sum(weights.values())
    return {name: number / total for name, number in weights.most_common()}


def quantisation_in_words(shares: dict[str, float]) -> str:
    """``Q4_1 78.93 %, Q8_0 21.05 %, F32 0.03 %``; ``shares`` as :func:`quantisation` returns them."""
    return ", ".join(f"{name} {100 * share:.2f} %" for name, share in shares.items())


def dequantised(tensor: ReaderTensor, file: str) -> np.ndarray:
    """Values of a tensor, float32, last dimension as in PyTorch.

    Raises:
        CheckpointError: of a type that cannot be dequantised; names it.
    """
    shape = tuple(int(size) for size in reversed(tensor.shape))
    try:
        return np.array(dequantize(tensor.data, tensor.tensor_type), dtype=np.float32).reshape(shape)
    except NotImplementedError:
        raise CheckpointError(
            f"{file}: tensor {tensor.name!r} is of type {tensor.tensor_type.name}, which the package gguf cannot turn "
            "into floating-point numbers; give the model in another quantisation, such as Q8_0, Q4_1, Q4_K or F16"
        ) from None
