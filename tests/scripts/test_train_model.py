"""The training job: killed and started again it goes on; nothing half-written is taken for whole."""

import os
import pickle
import runpy
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import PROJECT
from snakemake.iocontainers import InputFiles, OutputFiles, Params

SCRIPTS = str(PROJECT / "scripts")
sys.path.append(SCRIPTS)

pytestmark = pytest.mark.faults
SCHEDULE = {"steps": 24, "save_every": 8, "batch_size": 2, "block_length": 8}
ENTRY = {"name": "tiny", "hidden_size": 16, "n_layers": 1, "n_heads": 2, "intermediate_size": 24, "seed": 3} | {
    "training": SCHEDULE | {"learning_rate": 0.01, "warmup_steps": 2, "weight_decay": 0.1}
}
STEPS = {"step0", "step1", "step2", "step4", "step8", "step16", "step24"}
# Runs the job and dies in the middle of writing its state after 16 steps.
KILLED = """
import os, pickle, runpy, signal, sys
from rareneurons.models import training
write = training.write_state

def killed(current, file):
    write(current, file)
    if current.step == 16:
        os.truncate(file, os.path.getsize(file) // 2)
        os.kill(os.getpid(), signal.SIGKILL)

training.write_state = killed
sys.path.append(sys.argv[1])
with open(sys.argv[2], "rb") as job:
    runpy.run_path(sys.argv[1] + "/train_model.py", {"snakemake": pickle.load(job)})
"""


def job_in(folder: Path, **changes) -> SimpleNamespace:
    """The job that trains a model, with all that Snakemake gives it."""
    folder.mkdir(exist_ok=True)
    np.save(folder / "stream.npy", np.tile(np.arange(20, dtype=np.int32), 30))
    np.save(folder / "counts.npy", np.full(20, 30))
    inputs = {name: str(folder / f"{name}.npy") for name in ("stream", "counts")}
    outputs = {"checkpoints": str(folder / "tiny/training"), "loss": str(folder / "tiny/training_loss.csv")}
    params = {"model": ENTRY | changes, "seed": 0, "device": "cpu", "code": "as it was"}
    return SimpleNamespace(
        rule="train_model",
        wildcards={"model": "tiny"},
        threads=1,
        log=[str(folder / "log")],
        input=InputFiles(fromdict=inputs),
        output=OutputFiles(fromdict=outputs),
        params=Params(fromdict=params),
    )


def trained(job: SimpleNamespace) -> dict[str, bytes]:
    """The files that the job leaves beside its inputs, after it ran."""
    runpy.run_path(f"{SCRIPTS}/train_model.py", {"snakemake": job})
    return files_of(Path(job.output[0]).parent)


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}


@pytest.fixture(scope="module")
def killed(tmp_path_factory) -> Path:
    """Folder of a job that was killed while it wrote its state after 16 steps."""
    folder = tmp_path_factory.mktemp("killed")
    (folder / "job").write_bytes(pickle.dumps(job_in(folder)))
    done = subprocess.run(
        [sys.executable, "-c", KILLED, SCRIPTS, str(folder / "job")], capture_output=True, check=False
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    return folder


@pytest.fixture
def again(killed, tmp_path) -> Path:
    """A copy of that folder."""
    subprocess.run(["cp", "-r", f"{killed}/.", str(tmp_path / "again")], check=True)
    return tmp_path / "again"


def test_a_killed_job_goes_on_and_ends_as_if_nothing_had_happened(again, tmp_path, capfd):
    """After the last state that was written whole: at step 8. Nothing of it is left beside the outputs."""
    job = job_in(again)
    assert not any(map(os.path.exists, job.output))
    found = trained(job)
    assert "training goes on at step 8" in Path(job.log[0]).read_text()
    whole = trained(job_in(tmp_path / "whole"))
    # The killed job's own half-written files, which the next start of Snakemake removes, are not among the outputs.
    assert {name: content for name, content in found.items() if ".partial" not in name} == whole
    assert {Path(name).parts[1] for name in whole if name.startswith("training/")} == STEPS
    assert len(whole) == 1 + len(STEPS) * len(list(Path(job.output.checkpoints, "step0").iterdir()))


@pytest.mark.parametrize("change", [{"seed": 4}, {"intermediate_size": 32}], ids=str)
def test_another_training_does_not_go_on_from_it(again, change):
    job = job_in(again, **change)
    trained(job)
    assert "goes on" not in Path(job.log[0]).read_text()
    assert not list(again.rglob("*.state"))


def test_the_model_s_own_seed_decides_alone(tmp_path):
    """The same seed under another name, in a run of another seed: the same weights. Another seed: others."""
    weights = "training/step24/model.safetensors"
    one, renamed, other = (job_in(tmp_path / name) for name in ("one", "renamed", "other"))
    renamed.wildcards, renamed.params.seed = {"model": "renamed"}, 7
    other.params.model["seed"] = 4
    first = trained(one)[weights]
    assert trained(renamed)[weights] == first
    assert trained(other)[weights] != first
