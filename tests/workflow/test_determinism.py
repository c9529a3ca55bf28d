"""The same seed gives the same numbers: on one core or two, today or tomorrow, bit for bit."""

import pytest
from conftest import copy_project, snakemake

pytestmark = pytest.mark.workflow
SMOKE = ("--configfile", "config/smoke.yaml")


def test_another_run_on_one_core_writes_the_same_bytes(smoke_run, tmp_path):
    """Text, tokenizer, rows, training, every measure and the verdicts; against the run on two cores."""
    project = copy_project(tmp_path)
    snakemake(project, "results/smoke/claims.csv", *SMOKE, "--cores", "1")
    first, second = smoke_run / "results/smoke", project / "results/smoke"
    files = [
        path.relative_to(second)
        for path in second.rglob("*")
        if path.is_file() and path.suffix in (".csv", ".parquet", ".npy", ".npz", ".safetensors", ".md")
    ]
    assert len(files) > 40
    assert [str(file) for file in files if (first / file).read_bytes() != (second / file).read_bytes()] == []
