"""``--sdm conda`` builds the environment that the rules name and runs jobs in it; with a stand-in for conda itself."""

import os
import shutil
import sys
import sysconfig

import pytest
from conftest import PROJECT, copy_project, snakemake

pytestmark = pytest.mark.workflow
# Answers what Snakemake asks of conda. An environment is a virtual one that sees the packages installed here, and
# notes which file it was made from; activating one is noted, too.
CONDA = """#!/usr/bin/env bash
case "$1 $2" in
  "info --json") echo '{{"conda_prefix":"{base}","root_prefix":"{base}","platform":"linux-64","conda_version":"25.1.0",
                         "active_prefix":null,"envs":[],"channels":[]}}' ;;
  "config --get") echo '{{"get":{{"channel_priority":"strict"}}}}' ;;
  "--version ") echo "conda 25.1.0" ;;
  "env create")
    while [ $# -gt 0 ]; do
      case "$1" in --prefix) prefix=$2 ;; --file) file=$2 ;; esac
      shift
    done
    {python} -m venv --without-pip "$prefix"
    echo {packages} > "$prefix/lib/python{version}/site-packages/here.pth"
    mkdir -p "$prefix/conda-meta" && touch "$prefix/conda-meta/history"
    cp "$file" "{base}/built_from.yaml" ;;
  *) echo "{{}}" ;;
esac
"""
ACTIVATE = 'echo "$1" >> {base}/activated; export CONDA_PREFIX="$1"; export PATH="$1/bin:$PATH"\n'


@pytest.fixture
def conda(tmp_path, monkeypatch):
    """The stand-in's folder, first on the path."""
    base = tmp_path / "conda"
    (base / "bin").mkdir(parents=True)
    words = {
        "base": base,
        "python": sys.executable,
        "packages": sysconfig.get_path("purelib"),
        "version": f"{sys.version_info.major}.{sys.version_info.minor}",
    }
    for name, text in (("conda", CONDA), ("activate", ACTIVATE)):
        (base / "bin" / name).write_text(text.format(**words))
        (base / "bin" / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{base / 'bin'}:{os.environ['PATH']}")
    return base


def test_job_runs_in_the_environment_that_its_rule_names(conda, smoke_run, tmp_path):
    project = copy_project(tmp_path)
    shutil.copytree(smoke_run / "results/smoke/inputs", project / "results/smoke/inputs")
    table = "results/smoke/tables/conditions.csv"
    snakemake(
        project, table, "--configfile", "config/smoke.yaml", "--sdm", "conda", "--conda-prefix", str(conda / "envs")
    )
    assert (project / table).read_bytes() == (smoke_run / table).read_bytes()
    (environment,) = {path for path in (conda / "envs").iterdir() if path.is_dir()}
    assert set((conda / "activated").read_text().split()) == {str(environment)}
    assert (conda / "built_from.yaml").read_text() == (PROJECT / "envs/rareneurons.yaml").read_text()
