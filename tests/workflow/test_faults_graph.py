"""What goes wrong in a run: the message says what to do, nothing partial is taken for a result, a rerun cures it."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
import torch
import yaml
from conftest import snakemake
from safetensors.torch import load_file, save_file

pytestmark = [pytest.mark.workflow, pytest.mark.faults]
SMOKE = ("--configfile", "config/smoke.yaml")
MODEL = "results/smoke/neox-tiny"
COORDINATION = [f"{MODEL}/{step}/coordination{kind}.parquet" for step in ("step0", "step16") for kind in ("", "_draws")]
TABLE = "results/smoke/tables/coordination.csv"


@pytest.fixture
def project(tmp_path, smoke_run):
    """A copy of the finished smoke run."""
    return copied(smoke_run, tmp_path / "project")


def copied(smoke_run: Path, folder: Path, without: list[str] | None = None) -> Path:
    shutil.copytree(smoke_run, folder, symlinks=True)
    for file in without or []:
        (folder / file).unlink()
    return folder


def overlay(project: Path, name: str, **changes) -> tuple[str, str]:
    config = yaml.safe_load((project / "config/smoke.yaml").read_text()) | changes
    (project / "config" / name).write_text(yaml.safe_dump(config))
    return ("--configfile", f"config/{name}")


def contents(project: Path) -> dict[str, bytes]:
    return {file: (project / file).read_bytes() for file in [*COORDINATION, TABLE]}


def jobs_of(run: subprocess.CompletedProcess) -> dict[str, int]:
    """Rule -> number of jobs, as Snakemake announces them."""
    stats = (run.stdout + run.stderr).split("Job stats:")[1].split("total")[0]
    return {name: int(count) for name, count in re.findall(r"^(\w+) +(\d+)$", stats, flags=re.M)}


def leftovers(project: Path) -> list[Path]:
    return list((project / "results").rglob(".*.partial"))


def running_job(snakemake_id: int, script: str) -> psutil.Process | None:
    """The Python process of Snakemake's that runs a script."""
    for child in psutil.Process(snakemake_id).children(recursive=True):
        try:
            if child.name().startswith("python") and child.cmdline()[-1].endswith(f".{script}"):
                return child
        except (psutil.Error, IndexError):  # it ended meanwhile
            continue
    return None


@contextmanager
def held_job(project: Path, script: str, *arguments: str):
    """A run in the background, and one of its jobs, stopped while it works; both have ended afterwards."""
    command = [sys.executable, "-m", "snakemake", "--cores", "1", *arguments]
    with open(project / "output", "w") as output:
        run = subprocess.Popen(command, cwd=project, stdout=output, stderr=subprocess.STDOUT)
    job = None
    try:
        while job is None:
            assert run.poll() is None, (project / "output").read_text()
            job = running_job(run.pid, script)
            time.sleep(0.02)
        job.suspend()
        yield run, job
    finally:
        for process in (run, job):
            if process is not None and psutil.pid_exists(process.pid):
                process.kill()
        run.wait()


@contextmanager
def small_disk(folder: Path, size: str, options: str = ""):
    """A file system of its own in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}{options}", "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("needs the right to mount a file system")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_killed_job_and_a_second_run_meanwhile(project, smoke_run):
    """The second run is refused, the killed job named, nothing of it left; the rerun equals the undisturbed run."""
    for file in [*COORDINATION, TABLE]:
        (project / file).unlink()
    with held_job(project, "measure.py", *SMOKE, "--", TABLE) as (run, job):
        second = snakemake(project, *SMOKE, "--", TABLE, check=False)
        assert second.returncode
        assert "Directory cannot be locked" in second.stderr
        assert "--unlock" in second.stderr
        job.kill()
        assert run.wait(60)
    said = (project / "output").read_text()
    assert "died with <Signals.SIGKILL: 9>" in said
    assert re.search(
        r"- measure neox-tiny/step\d+/coordination: ended without a message, as a job does that is killed", said
    )
    assert not (project / TABLE).exists()
    missing = (project / "results/smoke/missing.md").read_text()
    assert f"- {TABLE} (not there)" in missing
    assert f"snakemake --cores 1 {' '.join(SMOKE)} -- {TABLE}" in missing
    (project / f"{MODEL}/step0/.coordination.parquet.0badc0de.partial").write_text("half a table")
    done = snakemake(project, *SMOKE, "--", TABLE)
    assert jobs_of(done)["measure"] == 2
    assert contents(project) == contents(smoke_run)
    assert leftovers(project) == []
    assert not (project / "results/smoke/missing.md").exists()


def test_killed_snakemake_and_a_changed_configuration(project, smoke_run, tmp_path):
    """Killed in the middle of the jobs that a changed configuration asks for; the orphaned job goes on afterwards.

    Exactly these jobs run again, and the result is that of a fresh run of the new configuration.
    """
    fresh = copied(smoke_run, tmp_path / "fresh", without=[*COORDINATION, TABLE])
    for folder in (project, fresh):
        changed = overlay(folder, "changed.yaml", coordination={"bootstrap": 25})
    with held_job(project, "measure.py", *changed, "--", TABLE) as (run, job):
        run.send_signal(signal.SIGKILL)
        run.wait()
        locked = snakemake(project, *changed, "--", TABLE, check=False)
        assert locked.returncode
        assert "It can be removed with the --unlock argument" in locked.stderr
        snakemake(project, *changed, "--unlock")
        done = snakemake(project, *changed, "--", TABLE)
        assert jobs_of(done) == {"measure": 2, "table": 1}
        expected = contents(project)
        assert expected != contents(smoke_run)
        job.resume()
        psutil.wait_procs([job], timeout=60)
    snakemake(fresh, *changed, "--", TABLE)
    assert contents(fresh) == expected
    assert contents(project) == expected, "what the orphan wrote"
    assert leftovers(project) == []


def test_full_disk(project, smoke_run):
    """The folder and the free space are named, nothing is kept, and with room the rerun equals the undisturbed run."""
    lost = [file for file in [*COORDINATION, TABLE] if "step0" not in file]
    for file in lost:
        (project / file).unlink()
    folder = project / MODEL / "step16"
    saved = shutil.move(folder, project / "step16")
    with small_disk(folder, "16m"):
        shutil.copytree(saved, folder, dirs_exist_ok=True)
        filler = folder / "filler"
        filler.write_bytes(bytes(shutil.disk_usage(folder).free - 4096))
        done = snakemake(project, *SMOKE, "--", TABLE, check=False)
        assert done.returncode
        assert re.search(
            rf"- measure neox-tiny/step16/coordination: {MODEL}/step16: the disk is full or a quota", done.stderr
        )
        assert "Traceback" not in done.stdout + done.stderr
        assert not any((project / file).exists() for file in lost)
        assert leftovers(project) == []
        filler.unlink()
        snakemake(project, *SMOKE, "--", TABLE)
        assert contents(project) == contents(smoke_run)


def test_no_write_permission(project):
    """Refused before anything starts; elsewhere the same run can be planned."""
    elsewhere = overlay(project, "elsewhere.yaml", run="elsewhere")
    with small_disk(project / "results/elsewhere", "16m", ",ro"):
        done = snakemake(project, *elsewhere, check=False)
        assert done.returncode
        assert f"{project}/results/elsewhere: this user may not write there" in done.stderr
        assert "Traceback" not in done.stderr
        assert "Error in rule" not in done.stderr
    with small_disk(project / "results/elsewhere", "100k"):
        done = snakemake(project, *elsewhere, check=False)
        assert "/results/elsewhere: the disk has 0.1 MiB free; nothing was started" in done.stderr
    other = project.parent / "other"
    other.mkdir()
    plan = snakemake(project, "-n", "--directory", str(other), *elsewhere)
    assert jobs_of(plan)["train_model"] == 1


def test_nan_and_a_damaged_file_among_ten_checkpoints(project, smoke_run):
    """The first is named where it is opened, the second by the audit; the others are computed; what cures both."""
    trained = project / f"{MODEL}/training/step16"
    weights = load_file(trained / "model.safetensors")
    noise = torch.Generator().manual_seed(0)
    for step in range(1, 11):
        folder = project / f"ten/step{step}"
        shutil.copytree(trained, folder)
        noisy = {
            name: value + 0.1 * (10 - step) * torch.randn(value.shape, generator=noise)
            for name, value in weights.items()
        }
        if step == 4:
            noisy["gpt_neox.final_layer_norm.bias"][5] = float("nan")
        if step < 10:
            save_file(noisy, folder / "model.safetensors", metadata={"format": "pt"})
    damaged = project / "ten/step7/model.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:-1000])
    shutil.copytree(project / "results/smoke/inputs", project / "results/ten/inputs")
    model = {"name": "ten", "source": "local", "tokenizer": "docstrings-512", "folder": "ten"}
    ten = overlay(project, "ten.yaml", run="ten", models=[model])
    asked = [f"results/ten/ten/step{step}/trace.safetensors" for step in (4, 10)]
    done = snakemake(project, "--keep-going", *ten, "--", *asked, "results/ten/tables/audit.csv", check=False)
    assert done.returncode
    assert (
        "ten/step7 is left out of statements about training: missing: model.safetensors: cannot be read" in done.stderr
    )
    nan = (
        "ten/step4: weight 'gpt_neox.final_layer_norm.bias' holds 1 NaN or infinite values of 64; nothing was computed"
    )
    missing = (project / "results/ten/missing.md").read_text()
    for text in (done.stderr, missing):
        assert f"- trace ten/step4: {nan}" in text
        assert "or leave it out: models[].leave_out in the configuration" in text
    assert not (project / asked[0]).exists()
    assert (project / asked[1]).read_bytes() == (smoke_run / f"{MODEL}/step16/trace.safetensors").read_bytes()
    (project / "ten/step9/config.json").write_text("[]")  # its own job says so; the others can be planned
    cured = overlay(project, "cured.yaml", run="ten", models=[model | {"leave_out": [4, 7]}])
    plan = snakemake(project, "-n", *cured)
    assert jobs_of(plan)["trace"] == jobs_of(plan)["influence"] - 1 == 7
    assert "results/ten/ten/step4" not in plan.stdout
