"""The graph on models from a hub: fetched, checked, computed, deleted; two checkpoints of a model on disk at most."""

import json
import re
import shutil

import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import copy_project, snakemake
from hub_server import Hub, digest, served

pytestmark = [pytest.mark.workflow, pytest.mark.hub]
# Does a job's files without its work; those that hold weights note how many checkpoints are on disk.
STUB = """
from pathlib import Path
for file in snakemake.output:
    Path(file).parent.mkdir(parents=True, exist_ok=True)
    if file.endswith("weights") or "tokenizers" in file:
        Path(file).mkdir()
    else:
        Path(file).write_text("{}")
    if file.endswith("weights"):
        run = Path(file).parents[1]
        with open(run.parents[1] / "on_disk", "a") as notes:
            print(len(list(run.glob("*/weights"))), file=notes)
Path(snakemake.log[0]).write_text("")
"""


def configuration(project, name: str, **changes) -> tuple[str, str]:
    config = yaml.safe_load((project / "config/smoke.yaml").read_text()) | changes
    (project / "config" / name).write_text(yaml.safe_dump(config))
    return ("--configfile", f"config/{name}")


@pytest.fixture
def hub(smoke_run, tmp_path, monkeypatch):
    """The smoke run's model, tokenizer, counts and documents, as a hub would have them; and two faulty checkpoints."""
    results = smoke_run / "results/smoke"
    training = results / "neox-tiny/training"
    shutil.copytree(training / "step16", tmp_path / "other")
    weights = bytearray((tmp_path / "other/model.safetensors").read_bytes())
    header = 8 + int.from_bytes(weights[:8], "little")
    values = np.frombuffer(weights, np.float32, offset=header)
    values += np.random.default_rng(0).normal(size=len(values)).astype(np.float32)
    (tmp_path / "other/model.safetensors").write_bytes(weights)
    data = tmp_path / "data"
    data.mkdir()
    shutil.copy(results / "inputs/counts/docstrings-512/counts.npy", data)
    shutil.copy(results / "inputs/corpora/docstrings/documents.parquet", data)
    branches = {f"step{step}": training / f"step{step}" for step in (0, 2, 4, 16)}
    branches |= {"step1": training / "step16", "step8": tmp_path / "other"}
    repositories = {
        "lab/neox": branches,
        "lab/tokenizer": {"main": results / "inputs/tokenizers/docstrings-512"},
        "lab/data": {"main": data},
    }
    with served(Hub(repositories)) as running:
        monkeypatch.setenv("HF_ENDPOINT", running.url)
        monkeypatch.setenv("HF_HUB_OFFLINE", "0")
        monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
        yield running


def hub_sources(hub: Hub, steps: list[int]) -> dict:
    counts = (hub.repositories["lab/data"]["main"] / "counts.npy").read_bytes()
    url = f"{hub.url}/datasets/lab/data/resolve/main/counts.npy"
    return {
        "tokenizers": [
            {
                "name": "docstrings-512",
                "source": "hub",
                "repository": "lab/tokenizer",
                "revision": "main",
                "counts": {"source": "url", "url": url, "sha256": digest(counts)},
            }
        ],
        "models": [
            {
                "name": "neox",
                "source": "hub",
                "repository": "lab/neox",
                "tokenizer": "docstrings-512",
                "checkpoints": steps,
            }
        ],
    }


def test_fetched_checkpoints_give_what_the_trained_ones_gave(smoke_run, hub, tmp_path):
    """Model, tokenizer and counts from the hub, documents of the smoke run; and the audit sees both faults first.

    Branches have names as OLMo's.
    """
    project = copy_project(tmp_path)
    shutil.copytree(smoke_run / "results/smoke/inputs/corpora", project / "results/smoke/inputs/corpora")
    hub.repositories["lab/neox"] = {
        f"stage1-{branch}-tokens{place}B": folder
        for place, (branch, folder) in enumerate(hub.repositories["lab/neox"].items())
    }
    branches = {branch.split("-")[1]: branch for branch in hub.repositories["lab/neox"]}
    sources = hub_sources(hub, [0, 1, 2, 4, 8, 16])
    sources["models"][0]["revision"] = "stage1-step{step}-tokens{tokens}B"
    mine = configuration(project, "hub.yaml", **sources)
    done = snakemake(project, "results/smoke/tables/audit.csv", *mine)
    audit = pd.read_csv(project / "results/smoke/tables/audit.csv").set_index("checkpoint")
    assert audit["finding"].to_dict() == {
        **dict.fromkeys(["step0", "step2", "step4", "step16"], "ok"),
        "step1": "duplicate",
        "step8": "outlier",
    }
    assert "neox/step1 is left out of statements about training: duplicate: the same weights as step16" in done.stderr
    assert audit.loc["step4", "commit"] == hub.commit("lab/neox", branches["step4"])
    size = (hub.repositories["lab/neox"][branches["step0"]] / "model.safetensors").stat().st_size
    assert hub.sent["model.safetensors"] < 6 * size, "the audit downloads no checkpoint whole"

    folder = project / "results/smoke/neox"
    snakemake(project, "results/smoke/neox/step16/influence.parquet", *mine)
    found = pd.read_parquet(folder / "step16/influence.parquet")
    expected = pd.read_parquet(smoke_run / "results/smoke/neox-tiny/step16/influence.parquet")
    pd.testing.assert_frame_equal(found.drop(columns="model"), expected.drop(columns="model"))
    provenance = json.loads((folder / "step16/provenance.json").read_text())
    assert provenance["commit"] == hub.commit("lab/neox", branches["step16"])
    assert provenance["repository"] == "lab/neox"


@pytest.mark.faults
def test_missing_branch_stops_its_checkpoint_alone(smoke_run, hub, tmp_path):
    project = copy_project(tmp_path)
    mine = configuration(project, "hub.yaml", **hub_sources(hub, [0, 32]))
    done = snakemake(
        project,
        *("results/smoke/neox/step0/weights", "results/smoke/neox/step32/weights", "--keep-going", "--notemp"),
        *mine,
        check=False,
    )
    said = done.stdout + done.stderr
    assert done.returncode
    assert (
        "neox/step32: lab/neox has no branch 'step32'; its branches and tags with the most similar names are step2"
        in said
    )
    assert "Traceback" not in said
    folder = project / "results/smoke/neox"
    assert (folder / "step0/weights/model.safetensors").exists()
    assert not (folder / "step32/weights").exists()


UNFIT = {
    "short": ({"max_position_embeddings": 16}, "found 32, but short/step2 was trained for 16 positions"),
    "quantised": ({"quantization_config": {"quant_method": "awq"}}, "found quantised weights ('awq')"),
    "other": ({"model_type": "bert"}, "model_type: found 'bert', which no adapter knows"),
}


@pytest.mark.faults
def test_models_that_cannot_serve_are_refused_before_their_weights_are_fetched(smoke_run, hub, tmp_path):
    project = tmp_path / "project"
    shutil.copytree(smoke_run, project, symlinks=True)
    [model] = hub_sources(hub, [2])["models"]
    for name, (changes, _) in UNFIT.items():
        folder = shutil.copytree(hub.repositories["lab/neox"]["step2"], tmp_path / "unfit" / name)
        content = json.loads((folder / "config.json").read_text()) | changes
        (folder / "config.json").write_text(json.dumps(content))
        hub.repositories[f"lab/{name}"] = {"step2": folder}
    models = [model | {"name": name, "repository": f"lab/{name}"} for name in UNFIT]
    mine = configuration(project, "hub.yaml", models=models)
    weights = [f"results/smoke/{name}/step2/weights" for name in UNFIT]
    done = snakemake(project, *weights, "--retries", "0", "--keep-going", *mine, check=False)
    assert done.returncode
    assert [said for _, said in UNFIT.values() if said not in done.stderr] == []
    assert hub.sent.get("model.safetensors", 0) == 0
    assert "Traceback" not in done.stderr


@pytest.mark.faults
def test_checkpoints_of_different_sizes_are_named_by_the_audit(smoke_run, hub, tmp_path):
    project = copy_project(tmp_path)
    other = shutil.copytree(hub.repositories["lab/neox"]["step2"], tmp_path / "step2")
    (other / "config.json").write_text(
        (other / "config.json").read_text().replace('"vocab_size": 512', '"vocab_size": 520')
    )
    hub.repositories["lab/neox"]["step2"] = other
    mine = configuration(project, "hub.yaml", **hub_sources(hub, [0, 2, 4]))
    done = snakemake(project, "results/smoke/neox/audit.parquet", "--retries", "0", *mine, check=False)
    assert done.returncode
    assert "neox: its checkpoints differ in vocab_size: 512 at step0, step4; 520 at step2. Expected" in done.stderr
    assert hub.sent.get("model.safetensors", 0) == 0


@pytest.mark.faults
def test_an_adapter_on_the_hub_is_named(smoke_run, hub, tmp_path):
    project = copy_project(tmp_path)
    other = shutil.copytree(hub.repositories["lab/neox"]["step2"], tmp_path / "step2")
    (other / "adapter_config.json").write_text("{}")
    hub.repositories["lab/neox"]["step2"] = other
    mine = configuration(project, "hub.yaml", **hub_sources(hub, [2]))
    done = snakemake(project, "results/smoke/neox/audit.parquet", *mine)
    assert "missing: it holds an adapter (adapter_config.json), beside a model's weights" in done.stderr


def test_at_most_two_checkpoints_are_on_disk_and_a_new_one_fetches_itself_alone(tmp_path):
    """The real graph with jobs that do nothing: twelve checkpoints, then one more in their midst."""
    project = copy_project(tmp_path)
    rules = "".join(file.read_text() for file in (project / "workflow/rules").glob("*.smk"))
    for script in set(re.findall(r"scripts/\w+\.py", rules)):
        (project / script).write_text(STUB)
    steps = [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1000]
    counts = {"source": "url", "url": "https://example.org/counts.npy", "sha256": "0" * 64}
    tokenizer = {"name": "t", "source": "hub", "repository": "a/b", "revision": "main", "counts": counts}
    model = {"name": "m", "source": "hub", "repository": "a/b", "tokenizer": "t", "checkpoints": steps}
    mine = configuration(project, "hub.yaml", tokenizers=[tokenizer], models=[model])
    snakemake(project, "results/smoke/tables/attention.csv", "results/smoke/tables/weightwatcher.csv", *mine)
    on_disk = [int(line) for line in (project / "results/on_disk").read_text().split()]
    assert len(on_disk) == 12
    assert max(on_disk) == 2
    assert not list((project / "results").rglob("weights"))

    model["checkpoints"] = [*steps[:5], 12, *steps[5:]]
    more = configuration(project, "more.yaml", tokenizers=[tokenizer], models=[model])
    targets = ("results/smoke/tables/attention.csv", "results/smoke/tables/weightwatcher.csv")
    plan = snakemake(project, "-n", *targets, *more).stdout
    counted = dict(line.split() for line in plan.split("Job stats:")[1].splitlines() if len(line.split()) == 2)
    assert counted["fetch_checkpoint"] == counted["trace"] == counted["attention"] == "1"
