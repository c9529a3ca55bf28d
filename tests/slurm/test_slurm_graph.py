"""The smoke graph through a real Slurm of one node: a cancelled job is recovered, the tables are the local run's."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from conftest import PROJECT, copy_project

pytestmark = [pytest.mark.slurm, pytest.mark.timeout(3600)]
AS_ROOT = () if os.geteuid() == 0 else ("sudo", "-n")
NODE = (*AS_ROOT, str(PROJECT / "tests/slurm/single_node.sh"))
# The profile as it is; what differs is this cluster: its names and size, no accounting, and nobody to be spared.
THROUGH_SLURM = (
    *("--workflow-profile", "workflow/profiles/slurm", "--configfile", "config/smoke.yaml"),
    *("--cores", str(min(2, os.cpu_count() or 1)), "--default-resources", "slurm_account=lab", "slurm_partition=tests"),
    *("--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", "2"),
    *("--seconds-between-status-checks", "2", "--latency-wait", "10"),
)


@pytest.fixture(scope="module")
def slurm():
    started = subprocess.run([*NODE, "start"], capture_output=True, text=True)
    if started.returncode:
        pytest.fail(f"no Slurm to test with: {started.stderr.strip()}")
    yield
    subprocess.run([*NODE, "stop"], check=True)


@contextmanager
def submitted(project, *arguments: str) -> Iterator[subprocess.Popen]:
    """A running Snakemake that submits the graph and writes to ``said`` in the project; it ends with the block."""
    command = [sys.executable, "-m", "snakemake", *THROUGH_SLURM, *arguments]
    with open(project / "said", "w") as said:
        running = subprocess.Popen(command, cwd=project, stdout=said, stderr=subprocess.STDOUT)
    try:
        yield running
    finally:
        running.kill()
        running.wait()


def cancel_once_running(rule: str, snakemake: subprocess.Popen) -> str:
    """Cancel the first Slurm job of a rule that runs; the memory it had asked for, as squeue says it."""
    while snakemake.poll() is None:
        running = subprocess.run(
            ["squeue", "-h", "-t", "RUNNING", "-o", "%i %m %k"], capture_output=True, text=True, check=True
        )
        for line in running.stdout.splitlines():
            job, memory, comment = line.split(maxsplit=2)
            if comment.startswith(f"rule_{rule}_"):
                subprocess.run(["scancel", job], check=True)
                return memory
        time.sleep(0.5)
    pytest.fail(f"no job of {rule} was ever seen running")


def test_cancelled_job_is_recovered_and_tables_are_the_local_run_s(slurm, smoke_run, tmp_path):
    project = copy_project(tmp_path)
    results, local = project / "results/smoke", smoke_run / "results/smoke"
    with submitted(project, "--retries", "0") as first:
        memory = cancel_once_running("influence", first)
        assert first.wait() == 1
    said = (project / "said").read_text()
    assert "SLURM status is: 'CANCELLED'" in said
    assert f"mem_mb={memory.removesuffix('M')}," in said, "Slurm was asked for what the rule asks for"
    done = {
        checkpoint
        for checkpoint in ("step0", "step16")
        if (results / f"neox-tiny/{checkpoint}/groups.parquet").exists()
    }
    assert len(done) == 1, "the other checkpoint went on"
    (lost,) = {"step0", "step16"} - done
    assert not (results / f"neox-tiny/{lost}/influence.parquet").exists()
    assert not (results / "claims.csv").exists()
    assert not list(results.rglob("*.partial"))

    with submitted(project) as again:
        assert again.wait() == 0, (project / "said").read_text()[-5000:]
    said += (project / "said").read_text()
    for table in (*local.glob("tables/*.csv"), local / "claims.csv", local / "claims.md"):
        assert (results / table.relative_to(local)).read_bytes() == table.read_bytes(), table.name
    for file in local.rglob("neox-tiny/*/influence.parquet"):
        assert (results / file.relative_to(local)).read_bytes() == file.read_bytes(), file
    assert len(list(results.glob("figures/*.png"))) == len(list(local.glob("figures/*.png")))
    assert said.count("has been submitted with SLURM jobid") < said.count("Finished jobid"), "small jobs share one"
