"""Which checkpoints and files a folder holds, by the names that training programs give them."""

import os

import pytest

from rareneurons.model_folders import folders

pytestmark = pytest.mark.faults


def folder_of(tmp_path, *models, empty=()):
    """A folder in which each of ``models`` holds a config.json and each of ``empty`` holds nothing."""
    for name in (*models, *empty):
        (tmp_path / name).mkdir(exist_ok=True)
    for name in models:
        (tmp_path / name / "config.json").write_text("{}")
    return str(tmp_path)


def found_in(folder: str, main_is_left_out: bool = False) -> dict[str, str]:
    models = folders.models_in(folder)
    return {
        name: os.path.relpath(place, folder)
        for name, place in folders.checkpoints_among(folder, models, main_is_left_out).items()
    }


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("step500", "step1000"),
        ("step_500", "step_1000"),
        ("step-500", "step-1000"),
        ("checkpoint-500", "checkpoint-1000"),
        ("checkpoint_500", "checkpoint_1000"),
        ("ckpt-500", "ckpt-1000"),
        ("global_step500", "global_step1000"),
        ("iter_0000500", "iter_0001000"),
        ("500", "1000"),
        ("stage1-step500-tokens2B", "stage1-step1000-tokens3B"),
        ("step500-tokens2B", "step1000-tokens3B"),
    ],
)
def test_names_that_training_programs_give_are_steps(tmp_path, first, second):
    assert found_in(folder_of(tmp_path, second, first, empty=["logs"])) == {"step500": first, "step1000": second}


@pytest.mark.parametrize("name", ["llama-7b", "llama-7", "run2", "v1", "epoch-3", "step", "checkpoint-500-old", "-500"])
def test_other_names_are_no_steps(tmp_path, name):
    folder = folder_of(tmp_path, name)
    with pytest.raises(ValueError, match=f"holds neither config.json nor .*; found {name}.* under `folders`"):
        found_in(folder)
    folder_of(tmp_path, "step1")
    assert found_in(folder) == {"step1": "step1"}
    assert folders.passed_over(folders.models_in(folder)) == [f"{name} (its name is no training step)"]


def test_a_step_without_a_config_is_passed_over_and_said(tmp_path):
    folder = folder_of(tmp_path, "checkpoint-8", empty=["checkpoint-16", "logs", "global_step8"])
    assert found_in(folder) == {"step8": "checkpoint-8"}
    assert folders.passed_over(folders.models_in(folder)) == [
        "checkpoint-16 (it holds no config.json)",
        "global_step8 (it holds no config.json)",
    ]


def test_a_model_in_the_root_alone_is_main(tmp_path):
    folder = folder_of(tmp_path, ".", "onnx", empty=["checkpoint-8"])
    assert found_in(folder) == {"main": "."}
    assert folders.passed_over(folders.models_in(folder)) == []
    assert folders.models_in(str(tmp_path / "nowhere")) is None


@pytest.mark.parametrize("main", [".", "main"])
def test_a_model_beside_its_checkpoints_has_to_be_asked_for(tmp_path, main):
    """A trainer leaves the final model in its output folder, with checkpoints in folders of their own."""
    folder = folder_of(tmp_path, main, "checkpoint-8", "checkpoint-16")
    with pytest.raises(ValueError, match="holds a model i.*, and checkpoints beside it: checkpoint-8, ") as refused:
        found_in(folder)
    place = folder if main == "." else f"{folder}/main"
    assert "Add `leave_out: [main]` for the checkpoints" in str(refused.value)
    assert f"write `folders: {{main: {place}}}`" in str(refused.value)
    assert found_in(folder, main_is_left_out=True) == {"main": main, "step8": "checkpoint-8", "step16": "checkpoint-16"}


def test_two_kinds_of_names_are_refused_even_at_different_steps(tmp_path):
    folder = folder_of(tmp_path, "checkpoint-500", "global_step1000")
    with pytest.raises(ValueError, match="different kinds of names, 'checkpoint-500', 'global_step1000'"):
        found_in(folder)


def test_one_step_twice_is_refused(tmp_path):
    folder = folder_of(tmp_path, "iter_500", "iter_0500")
    with pytest.raises(ValueError, match="holds 'iter_0500' and 'iter_500', both of step 500"):
        found_in(folder)


def test_files_of_a_checkpoint_are_what_it_is_read_from(tmp_path):
    shards = [f"model-0000{number}-of-00002.safetensors" for number in (1, 2)]
    for name in ("config.json", "model.safetensors.index.json", *shards, "optimizer.pt", "trainer_state.json"):
        (tmp_path / name).write_text(name)
    names = [os.path.relpath(file, tmp_path) for file in folders.checkpoint_files(str(tmp_path))]
    assert names == ["config.json", "model.safetensors.index.json", *shards]
    assert folders.checkpoint_files(str(tmp_path / "nowhere")) == []


def test_another_date_or_size_of_a_file_is_seen(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_text("old")
    before = folders.dates_and_sizes(str(tmp_path))
    assert set(before) == {"config.json", "model.safetensors"}
    os.utime(tmp_path / "model.safetensors", (10**9, 10**9))  # as of a file from long ago
    older = folders.dates_and_sizes(str(tmp_path))
    assert older["model.safetensors"] == "1000000000 3"
    assert older["config.json"] == before["config.json"]
    (tmp_path / "model.safetensors").write_text("longer")
    os.utime(tmp_path / "model.safetensors", (10**9, 10**9))
    assert folders.dates_and_sizes(str(tmp_path))["model.safetensors"] == "1000000000 6"


def test_an_adapter_is_named_and_what_to_do_with_it():
    alone = folders.adapter_in(["adapter_config.json", "adapter_model.safetensors"])
    assert alone.startswith("holds an adapter (adapter_config.json), not a whole model. ")
    beside = folders.adapter_in(["adapter_config.json", "config.json", "model.safetensors"])
    assert "beside a model's weights; these alone are another model" in beside
    for said in (alone, beside):
        assert "merge_and_unload()" in said
    assert folders.adapter_in(["config.json", "model.safetensors"]) == ""


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d\nsize 12345\n", "a git-LFS pointer"),
        (b"/annex/objects/SHA256E-s12--ab\n", "a git-annex pointer"),
        (b"<!DOCTYPE html><html>", "a web page"),
        (b"\n<html>", "a web page"),
        (b"PK\x03\x04", ""),
        (b'{"a": 1}', ""),
        (b"", ""),
    ],
)
def test_what_lies_in_the_place_of_a_file_is_called_by_its_name(content, said):
    assert folders.stand_in(content).startswith(said)
    assert bool(folders.stand_in(content)) == bool(said)
