"""Samples of weights from files of either format."""

from functools import partial
from io import BytesIO

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from rareneurons.errors import CheckpointError
from rareneurons.models.weight_sample import weight_sample


def sampled(folder, names):
    return weight_sample(names, lambda name: open(folder / name, "rb"))


@pytest.mark.oracle
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_the_middle_of_every_matrix(tmp_path, dtype, name):
    weights = {
        "a": torch.randn(70, 90),
        "b": torch.randn(3, 5),
        "norm": torch.randn(7),
        "h.0.attn.bias": torch.ones(1, 1, 4, 4, dtype=torch.bool),
        "position_ids": torch.arange(6).reshape(2, 3),
    }
    weights = {key: value.to(dtype) if value.is_floating_point() else value for key, value in weights.items()}
    {"model.safetensors": save_file}.get(name, torch.save)(weights, tmp_path / name)
    found = sampled(tmp_path, ["model.safetensors.index.json", name])
    assert sorted(found) == ["a", "b"]
    np.testing.assert_array_equal(found["a"], weights["a"].float().flatten()[(6300 - 4096) // 2 :][:4096])
    np.testing.assert_array_equal(found["b"], weights["b"].float().flatten())
    assert found["a"].dtype == np.float32


def test_bin_with_shared_storage_reads_each_part_s_own_values(tmp_path):
    whole = torch.randn(8, 4)
    torch.save({"first": whole[:4], "second": whole[4:], "turned": whole.T}, tmp_path / "pytorch_model.bin")
    found = sampled(tmp_path, ["pytorch_model.bin"])
    np.testing.assert_array_equal(found["second"], whole[4:].flatten())
    np.testing.assert_array_equal(found["first"], whole[:4].flatten())
    assert "turned" not in found, "its values don't lie in order"


def test_bin_of_the_old_format_gives_no_sample_and_runs_nothing(tmp_path):
    save = partial(torch.save, _use_new_zipfile_serialization=False)
    save({"a": torch.randn(8, 4)}, tmp_path / "pytorch_model.bin")
    assert sampled(tmp_path, ["pytorch_model.bin"]) == {}


@pytest.mark.faults
def test_bin_that_would_run_code_is_refused(tmp_path):
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    torch.save({"a": Evil()}, tmp_path / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match="pytorch_model.bin: cannot be read: it holds more than tensors"):
        sampled(tmp_path, ["pytorch_model.bin"])
    assert not (tmp_path / "ran").exists()


@pytest.mark.faults
@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:-4],
        lambda content: content[: len(content) // 2],
        lambda content: b"",
        lambda content: b"<html>not found</html>",
        lambda content: b"\xff" * 8 + content[8:],
        lambda content: content[:8] + b"x" + content[9:],
        lambda content: content[:-8000] + np.float32(np.nan).tobytes() * 2000,
    ],
)
def test_damaged_file_is_named(tmp_path, damage):
    save_file({"a": torch.randn(70, 90)}, tmp_path / "model.safetensors")
    content = (tmp_path / "model.safetensors").read_bytes()
    assert len(sampled(tmp_path, ["model.safetensors"])["a"]) == 4096
    (tmp_path / "model.safetensors").write_bytes(damage(content))
    with pytest.raises(CheckpointError, match=r"model.safetensors: cannot be read: |weight 'a' holds NaN"):
        sampled(tmp_path, ["model.safetensors"])


@pytest.mark.faults
def test_a_header_of_absurd_length_is_not_fetched(tmp_path):
    class Counted(BytesIO):
        def read(self, size):
            assert size <= 100_000_000, "a hub would send the whole file"
            return super().read(size)

    content = (2**40).to_bytes(8, "little") + b"{}"
    with pytest.raises(CheckpointError, match="model.safetensors: cannot be read: its header is too long"):
        weight_sample(["model.safetensors"], lambda _name: Counted(content))


def test_at_most_24_matrices_evenly_spread(tmp_path):
    weights = {f"layer.{number:03}": torch.full((2, 2), float(number)) for number in range(100)}
    save_file(weights, tmp_path / "model.safetensors")
    found = sampled(tmp_path, ["model.safetensors"])
    assert len(found) == 24
    numbers = sorted(int(name[-3:]) for name in found)
    assert numbers[0] == 0
    assert numbers[-1] == 99
    assert max(np.diff(numbers)) <= 5
