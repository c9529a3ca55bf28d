"""Local models through the real graph: what their folders and files say, before any job, in a job, when they change."""

import json
import os
import re
import shutil
from importlib.metadata import version

import pytest
import yaml
from conftest import copy_project, snakemake, tiny_model

pytestmark = [pytest.mark.workflow, pytest.mark.faults]
PARTS = ("audit.parquet", "main/weightwatcher.parquet")


@pytest.fixture
def project(tmp_path):
    return copy_project(tmp_path)


def local(folder: str, name: str = "mine", **changes) -> dict:
    return {"name": name, "source": "local", "tokenizer": "docstrings-512", "folder": folder, **changes}


def overlay(project, *models: dict, **changes) -> tuple[str, str]:
    config = yaml.safe_load((project / "config/smoke.yaml").read_text()) | {"models": list(models)} | changes
    (project / "config/local.yaml").write_text(yaml.safe_dump(config))
    return ("--configfile", "config/local.yaml")


def saved(project, folder: str, kind: str = "llama", seed: int = 0, **changes) -> None:
    tiny_model(kind, seed, **{"vocab_size": 512, **changes}).save_pretrained(project / folder)


def refused(project, *arguments: str) -> str:
    """What a run says that stops before any job."""
    done = snakemake(project, *arguments, check=False)
    assert done.returncode
    assert "Error in rule" not in done.stderr
    assert "Traceback" not in done.stderr
    assert not (project / "results/smoke").exists()
    return done.stderr


def planned(project, *arguments: str) -> set[str]:
    """Rules that a dry run would start jobs of."""
    said = snakemake(project, "-n", *arguments).stdout
    return set(re.findall(r"^(\w+) +\d+$", said, flags=re.M)) - {"total"}


def test_a_file_that_changes_in_place_is_computed_again(project):
    """Also where the new file has an older date, as one that was downloaded last week."""
    saved(project, "model")
    saved(project, "other", seed=1)
    targets = (*overlay(project, local("model")), "--", *(f"results/smoke/mine/{part}" for part in PARTS))
    snakemake(project, *targets)
    weights, new = project / "model/model.safetensors", project / "other/model.safetensors"
    before = weights.stat().st_mtime
    weights.write_bytes(new.read_bytes())  # cat new > model.safetensors
    assert planned(project, *targets) == {"audit_folders", "weightwatcher"}
    os.utime(weights, (before - 1e6, before - 1e6))
    assert planned(project, *targets) == {"audit_folders", "weightwatcher"}
    snakemake(project, *targets)
    assert planned(project, *targets) == set()
    config = project / "model/config.json"
    config.write_text(config.read_text().replace(": 1e-06", ": 2e-06"))
    assert planned(project, *targets) == {"audit_folders", "weightwatcher"}


def test_a_word_in_braces_in_a_path_is_refused_by_its_key(project):
    saved(project, "{model}")
    assert "Configuration: models[0].folder: '{model}' holds a word in braces" in refused(
        project, *overlay(project, local("{model}"))
    )


def test_a_project_in_a_folder_with_braces_is_refused(project):
    inside = project.rename(project.parent / "pro{ject} of mine")
    assert "this folder's path holds braces" in refused(inside, "--configfile", "config/smoke.yaml")


def test_paths_may_hold_any_character(project):
    folders = {"space": "a model", "empty_braces": "x{}y", "open_braces": "{ {", "umlaut": "mödel", "quote": "a'b"}
    for folder in folders.values():
        saved(project, folder)
    models = overlay(project, *(local(folder, name) for name, folder in folders.items()))
    targets = (*models, "--", *(f"results/smoke/{name}/{part}" for name in folders for part in PARTS))
    snakemake(project, *targets)
    assert all((project / target).is_file() for target in targets[len(models) + 1 :])
    assert planned(project, *targets) == set()


def test_rows_longer_than_a_model_s_context_stop_before_any_job(project):
    saved(project, "short", "gpt2", n_positions=16)
    said = refused(project, *overlay(project, local("short")))
    assert "Configuration: rows.block_length: found 32, but models[0] (mine, short) was trained for 16" in said


def test_a_trainer_s_output_folder_has_to_say_what_is_meant(project):
    for folder in ("out", "out/checkpoint-8", "out/checkpoint-16"):
        saved(project, folder)
    said = refused(project, *overlay(project, local("out")))
    assert (
        "models[0].folder: 'out' holds a model itself, and checkpoints beside it: checkpoint-8, checkpoint-16." in said
    )
    plan = snakemake(project, "-n", *overlay(project, local("out", leave_out=["main"]))).stdout
    assert set(re.findall(r"results/smoke/mine/(\w+)/trace.safetensors", plan)) == {"step8", "step16"}


def test_checkpoints_of_different_sizes_stop_before_any_job(project):
    saved(project, "out/step8")
    saved(project, "out/step16", hidden_size=32)
    said = refused(project, *overlay(project, local("out")))
    assert "Configuration: models[0].folders: mine: its checkpoints differ in hidden_size: 16 at step8; 32 at" in said


@pytest.mark.skipif(not version("torch").endswith("+cpu"), reason="needs a PyTorch built for CPUs alone")
def test_a_device_that_this_build_lacks_stops_before_any_job_but_can_be_planned(project):
    """Login nodes of clusters plan for GPUs that they lack."""
    saved(project, "model")
    on_cuda = overlay(project, local("model"), device="cuda")
    done = snakemake(project, *on_cuda, check=False)
    assert done.returncode
    assert "Configuration: device: found 'cuda', but PyTorch" in done.stderr
    assert "Install one" in done.stderr
    assert not list((project / "results").rglob("*.log"))
    assert "trace" in planned(project, *on_cuda)


ODD = {
    "per_layer": {"intermediate_size": [24, 24]},
    "words": {"hidden_size": "16", "num_hidden_layers": "two"},
    "no_number": {"vocab_size": float("inf")},
    "nothing": {"num_attention_heads": None},
}
SAID = {
    "per_layer": "intermediate_size: found [24, 24]; expected a whole number above 0",
    "words": "num_hidden_layers: found 'two'; expected a whole number above 0",
    "no_number": "vocab_size: found inf; expected a whole number above 0",
    "nothing": "num_attention_heads: found None; expected a whole number above 0",
}


def test_a_bad_model_is_refused_by_name_and_the_others_finish(smoke_run, tmp_path):
    project = tmp_path / "project"
    shutil.copytree(smoke_run, project, symlinks=True)
    saved(project, "good")
    for name, changes in ODD.items():
        saved(project, name)
        config = project / name / "config.json"
        config.write_text(json.dumps(json.loads(config.read_text()) | changes))
    mine = overlay(project, *(local(name, name) for name in (*ODD, "good")))
    planned(project, *mine)
    traces = [f"results/smoke/{name}/main/trace.safetensors" for name in (*ODD, "good")]
    done = snakemake(project, "--keep-going", *mine, "--", *traces, check=False)
    assert done.returncode
    for name, message in SAID.items():
        assert f"- trace {name}/main: {name}/config.json: {message}" in done.stderr
    assert [(project / trace).exists() for trace in traces] == [False] * len(ODD) + [True]
