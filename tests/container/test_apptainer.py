"""``--sdm apptainer`` runs jobs in the image that the Snakefile names; with a stand-in for apptainer itself."""

import os
import shutil

import pytest
from conftest import copy_project, snakemake

pytestmark = pytest.mark.container
# Notes the arguments, leaves out apptainer's own, and runs the command where it stands.
APPTAINER = """#!/bin/bash
[ "$1" != --version ] || {{ echo "apptainer version 1.4.2"; exit; }}
echo "$@" >> {calls}
while [ "$1" != rareneurons.sif ]; do shift; done
shift
exec "$@"
"""


def test_job_runs_in_the_image(smoke_run, tmp_path, monkeypatch):
    command = tmp_path / "bin/apptainer"
    command.parent.mkdir()
    command.write_text(APPTAINER.format(calls=tmp_path / "calls"))
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{command.parent}:{os.environ['PATH']}")
    project = copy_project(tmp_path)
    (project / "rareneurons.sif").touch()
    shutil.copytree(smoke_run / "results/smoke/inputs", project / "results/smoke/inputs")
    table = "results/smoke/tables/conditions.csv"
    snakemake(project, table, "--configfile", "config/smoke.yaml", "--sdm", "apptainer")
    assert (project / table).read_bytes() == (smoke_run / table).read_bytes()
    calls = (tmp_path / "calls").read_text().splitlines()
    assert calls
    assert all(call.startswith(f"exec --home {project} ") for call in calls)
