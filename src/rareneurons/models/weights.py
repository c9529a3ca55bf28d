"""Weights of a checkpoint folder, read without building the model."""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from safetensors import safe_open
from torch._subclasses.fake_tensor import FakeTensorMode

from rareneurons.errors import LEAVE_OUT, CheckpointError, DamagedFileError, RareNeuronsError
from rareneurons.model_folders.folders import adapter_in, stand_in, weight_files

DTYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
HEADER_BYTES = 100_000_000  # longest header of a safetensors file, by its specification
# What older versions of transformers saved beside the weights: masks, and tables of positions and frequencies.
BUFFERS = re.compile(
    r"(^|\.)(attn|attention|self_attn)\.(bias|masked_bias)$|(^|\.)rotary_emb\.(inv_freq|cos_cached|sin_cached)$"
    r"|(^|\.)position_ids$"
)
UNEMBEDDINGS = {"lm_head.weight", "embed_out.weight"}


@dataclass(frozen=True)
class Place:
    """Where the values of a tensor lie in a file: first byte, shape, type.

    ``offset`` is None where they don't lie in one piece: a transposed tensor, or PyTorch's format before 1.6.
    """

    file: str
    offset: int | None
    shape: tuple[int, ...]
    dtype: torch.dtype


def places_in(name: str, file: BinaryIO) -> dict[str, Place]:
    """What a weight file holds, by parameter name; this decides for every reader what can be used.

    Known buffers are left out. Only descriptions are read, of a ``.bin`` file before PyTorch 1.6 the whole file;
    nothing in a ``.bin`` file runs.

    Args:
        name: of the file, for messages; its ending says the format.
        file: open for reading, possibly over a network.

    Raises:
        CheckpointError: the file is damaged or none of that format, is nested, or holds weights that are quantised.
    """
    with damage_named(name):
        found = stand_in(file.read(200))
        if found:
            raise ValueError(f"it is {found}")
        file.seek(0)
        places = _places_in_bin(name, file) if name.endswith(".bin") else _places_in_safetensors(name, file)
    return {key: place for key, place in places.items() if not BUFFERS.search(key)}


def _places_in_safetensors(name: str, file: BinaryIO) -> dict[str, Place]:
    length = int.from_bytes(file.read(8), "little")
    if length > HEADER_BYTES:
        raise ValueError("its header is too long")
    content = file.read(length)
    if len(content) < length:
        raise ValueError("it ends within its header")
    header = json.loads(content)
    tensors = {key: entry for key, entry in header.items() if key != "__metadata__"}
    described = 8 + length + max((entry["data_offsets"][1] for entry in tensors.values()), default=0)
    if file.seek(0, 2) != described:
        raise ValueError(f"it holds {file.tell()} bytes, its header describes {described}")
    for key, entry in tensors.items():
        _refuse_other_types(name, key, entry["dtype"] in DTYPES, entry["dtype"])
    return {
        key: Place(name, 8 + length + entry["data_offsets"][0], tuple(entry["shape"]), DTYPES[entry["dtype"]])
        for key, entry in tensors.items()
        if entry["dtype"] in DTYPES
    }


def _places_in_bin(name: str, file: BinaryIO) -> dict[str, Place]:
    whole = is_of_old_format(file)
    with nullcontext() if whole else FakeTensorMode():
        content = torch.load(file, weights_only=True, map_location="meta" if whole else None)
    if not isinstance(content, dict):
        raise ValueError(f"it holds a {_kind(content)}; expected parameter names with their tensors")
    for key, tensor in content.items():
        if not isinstance(key, str) or _kind(tensor) != "tensor":
            raise ValueError(
                f"it holds {key!r}, a {_kind(tensor)}; expected parameter names with their tensors, as "
                "save_pretrained writes them, not a training script's own file"
            )
        _refuse_other_types(name, key, tensor.dtype in DTYPES.values(), str(tensor.dtype).removeprefix("torch."))
    return {
        key: Place(
            name,
            tensor.untyped_storage()._checkpoint_offset + tensor.storage_offset() * tensor.element_size()
            if not whole and tensor.is_contiguous()
            else None,
            tuple(tensor.shape),
            tensor.dtype,
        )
        for key, tensor in content.items()
        if tensor.dtype in DTYPES.values()
    }


def _kind(content: object) -> str:
    if isinstance(content, torch.Tensor):
        return "tensor" if content.layout == torch.strided else "sparse tensor"
    return type(content).__name__


def is_of_old_format(file: BinaryIO) -> bool:
    """Whether a ``.bin`` file, read from its beginning, is one of PyTorch before 1.6, which can only be read whole."""
    start = file.read(2)
    file.seek(0)
    return start[:1] == b"\x80"


def _refuse_other_types(name: str, key: str, is_weight: bool, dtype: str) -> None:
    if not is_weight and not BUFFERS.search(key):
        raise CheckpointError(
            f"{name}: weight {key!r} is of type {dtype}; expected floating point of 16 to 64 bits. The file is "
            "quantised, or no model's: use the model before its quantisation, or dequantise it and save it with "
            f"save_pretrained. {LEAVE_OUT}"
        )


def stored_places(folder: str) -> dict[str, Place]:
    """What the weight files of a folder hold, by parameter name; known buffers are left out.

    Raises:
        CheckpointError: an adapter, no weights, an index that leads elsewhere, or a file that cannot be used.
    """
    names = {path.name for path in Path(folder).glob("*")}
    adapter = adapter_in(names)
    if adapter:
        raise CheckpointError(f"{folder}: {adapter}")
    files = weight_files(names)
    if not files:
        shown = ", ".join(sorted(names)[:8]) or "nothing"
        raise CheckpointError(
            f"{folder}: holds no model*.safetensors and no pytorch_model*.bin; found {shown}. {LEAVE_OUT}"
        )
    refuse_foreign_shards(folder)
    places: dict[str, Place] = {}
    for file in (Path(folder) / name for name in files if not name.endswith(".json")):
        with damage_named(str(file)), file.open("rb") as content:
            places |= places_in(str(file), content)
    return places


def unread_weights(keys: Iterable[str]) -> list[str]:
    """Of the names that a model has no use for those that are no known buffer, sorted."""
    return sorted(key for key in keys if not BUFFERS.search(key))


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
        DamagedFileError: names the file, and the reader's first line.
        MemoryError: or PyTorch's own; no fault of the file.
    """
    try:
        yield
    except RareNeuronsError:
        raise
    except Exception as error:
        if is_want_of_memory(error):
            raise
        raise DamagedFileError(f"{file}: cannot be read: {reason_of(error)}. {LEAVE_OUT}") from error


def is_want_of_memory(error: Exception) -> bool:
    """Whether an error is no fault of the file: the machine lacks the memory."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "allocate memory" in str(error)


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
    """Name and value of every weight in a folder's safetensors files or, without those, its ``.bin`` files.

    Known buffers are left out. ``.bin`` files are read with ``weights_only``: nothing in them runs.

    Raises:
        CheckpointError: as :func:`stored_places`.
    """
    keys_of: dict[str, list[str]] = {}
    for key, place in stored_places(folder).items():
        keys_of.setdefault(place.file, []).append(key)
    for file, keys in keys_of.items():
        with damage_named(file):
            if file.endswith(".bin"):
                content = torch.load(file, map_location="cpu", weights_only=True)
                yield from ((key, content[key].detach()) for key in keys)
            else:
                with safe_open(file, framework="pt") as stored:
                    yield from ((key, stored.get_tensor(key)) for key in keys)


def weight_matrices(folder: str) -> dict[str, np.ndarray]:
    """Every two-dimensional weight by parameter name, float32; tied matrices once, buffers left out.

    Experts that a file holds in one array (experts, outputs, inputs) are a matrix each, ``<name>.<expert>``.

    Raises:
        CheckpointError: no weights, or one that is NaN or infinite.
    """
    matrices = {}
    for name, tensor in stored_tensors(folder):
        if tensor.ndim not in (2, 3):
            continue
        if not torch.isfinite(tensor).all():
            raise CheckpointError(
                f"{folder}: weight {name!r} holds NaN or infinite values; nothing was computed. {LEAVE_OUT}"
            )
        if tensor.ndim == 2:
            matrices[name] = tensor.float().numpy()
        else:
            matrices |= {f"{name}.{number}": matrix.float().numpy() for number, matrix in enumerate(tensor)}
    return {name: matrix for name, matrix in matrices.items() if not _is_tied(name, matrices)}


def _is_tied(name: str, matrices: dict[str, np.ndarray]) -> bool:
    """Whether a matrix is an unembedding that a file holds once more as the embedding."""
    return name in UNEMBEDDINGS and any(
        other != name and matrix.shape == matrices[name].shape and np.array_equal(matrix, matrices[name])
        for other, matrix in matrices.items()
    )
