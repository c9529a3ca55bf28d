"""Sizes of a job's inputs, with and without the files; what jobs take of resources that the run limits."""

import json

import numpy as np
import pytest
from safetensors.numpy import save_file

from rareneurons.planning import costs, resources

MB = 2**20


@pytest.fixture
def checkpoint(tmp_path):
    """A folder with config.json, weights in both formats, and files that are no weights."""
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    shape = {"hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "vocab_size": 100}
    (folder / "config.json").write_text(json.dumps(shape))
    (folder / "tokenizer.json").write_bytes(bytes(7 * MB))
    (folder / "pytorch_model.bin").write_bytes(bytes(5 * MB))
    (folder / "model.safetensors.index.json").write_text("{}")
    for part in (1, 2):
        (folder / f"model-0000{part}-of-00002.safetensors").write_bytes(bytes(part * MB))
    return folder


@pytest.fixture
def arrays(tmp_path):
    """Last layer of 24 neurons, width 16 and 61 types, and a trace of 30 rows."""
    last_layer, trace = tmp_path / "last_layer.safetensors", tmp_path / "trace.safetensors"
    save_file({"output_weight": np.zeros((24, 16)), "unembedding": np.zeros((61, 16))}, last_layer)
    save_file({"activation": np.zeros((30, 24)), "residual": np.zeros((30, 16))}, trace, {"format": "np"})
    return last_layer, trace


def test_files_count_folders_whole_and_missing_ones_as_nothing(tmp_path, checkpoint):
    (tmp_path / "table.csv").write_bytes(bytes(3 * MB))
    found = resources.sizes_of_files([tmp_path / "table.csv", checkpoint, tmp_path / "gone"])
    assert found.input_mb == pytest.approx(3 + 7 + 5 + 3, abs=0.001)
    assert resources.sizes_of_files([]) == costs.Sizes()


def test_checkpoint_is_its_configuration_and_its_safetensors(checkpoint):
    found = resources.sizes_of_checkpoint([], checkpoint)
    assert found.weights_mb == 3, "not the .bin, which holds the same weights"
    assert (found.shape.width, found.shape.layers, found.shape.vocabulary) == (8, 2, 100)
    for part in checkpoint.glob("*.safetensors"):
        part.unlink()
    assert resources.sizes_of_checkpoint([], checkpoint).weights_mb == 5


def test_last_layer_beside_a_checkpoint_says_whether_there_is_a_closed_form(tmp_path, checkpoint, arrays):
    capped = tmp_path / "capped.safetensors"
    save_file({"output_weight": np.zeros((24, 16)), "logit_cap": np.ones(1)}, capped)
    shapes = [resources.sizes_of_checkpoint([], checkpoint, layer).shape for layer in (arrays[0], capped)]
    assert [shape.closed_form for shape in shapes] == [True, False]
    assert {shape.layers for shape in shapes} == {2}, "the rest is the checkpoint's"


@pytest.mark.parametrize("text", [None, "[]", "{", b"\xff\xfe"])
def test_checkpoint_that_cannot_be_read_counts_as_nothing(checkpoint, text):
    """Its own job says what is wrong with it; the others can be planned."""
    file = checkpoint / "config.json"
    file.unlink()
    if text is not None:
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
    assert resources.sizes_of_checkpoint([], checkpoint).shape == costs.shape_of({})
    assert resources.sizes_of_checkpoint([], checkpoint / "gone") == costs.Sizes(shape=costs.shape_of({}))


def test_last_layer_and_trace_are_their_arrays(arrays):
    last_layer, trace = arrays
    found = resources.sizes_of_last_layer([last_layer], last_layer, trace)
    assert (found.shape.neurons, found.shape.width, found.shape.vocabulary) == (24, 16, 61)
    assert found.rows == 30
    assert found.input_mb == pytest.approx(last_layer.stat().st_size / MB)
    assert resources.sizes_of_last_layer([], last_layer).rows == 0


@pytest.mark.parametrize("content", [None, b"", b"\xff" * 100, b"\x02\0\0\0\0\0\0\0{}"])
def test_arrays_that_cannot_be_read_count_as_nothing(tmp_path, content):
    file = tmp_path / "broken.safetensors"
    if content is not None:
        file.write_bytes(content)
    found = resources.sizes_of_last_layer([], file, file)
    assert (found.shape.neurons, found.shape.width, found.rows) == (0, 0, 0)


def test_training_is_the_configuration_s_entry(tmp_path):
    model = {"hidden_size": 8, "n_layers": 2, "n_heads": 2, "training": {"steps": 4}}
    (tmp_path / "stream.npy").write_bytes(bytes(2 * MB))
    found = resources.sizes_of_training([tmp_path / "stream.npy"], model, {"vocabulary_size": 512})
    assert found == costs.sizes_of_training(model, 512, 2.0)
    assert resources.sizes_of_training([], model, {}).shape.vocabulary == 0
    assert found.shape.neurons == 32
    mixture = model | {"intermediate_size": 10, "experts": {"number": 4, "chosen": 2}}
    assert resources.sizes_of_training([], mixture, {}).shape.neurons == 40


def test_request_is_the_stage_s_formula():
    sizes = costs.Sizes(input_mb=100)
    expected = costs.request(costs.ESTIMATES["corpus"](sizes, {}), 2)
    assert resources.request("corpus", sizes, {}, 2) == expected
    assert expected != costs.request(costs.ESTIMATES["small"](sizes, {}), 2)


@pytest.mark.parametrize(
    ("device", "found", "taken"), [("cuda", False, 1), ("auto", True, 1), ("auto", False, 0), ("cpu", True, 0)]
)
def test_accelerator_is_taken_where_it_is_asked_for_or_found(tmp_path, monkeypatch, device, found, taken):
    monkeypatch.setenv("PATH", str(tmp_path))
    if found:
        (tmp_path / "nvidia-smi").touch(mode=0o755)
    assert resources.accelerators(device) == taken


@pytest.mark.parametrize(
    ("source", "kept", "taken"), [("hub", False, 1), ("hub", True, 0), ("train", False, 0), ("local", False, 0)]
)
def test_only_fetched_weights_that_are_deleted_again_take_a_slot(source, kept, taken):
    assert resources.weights_slots({"source": source}, {"weights": kept}) == taken
