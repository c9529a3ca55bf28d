"""The same seed gives the same numbers: on one core or two, today or tomorrow, bit for bit."""

import pytest
from conftest import copy_project, snakemake

pytestmark = pytest.mark.workflow
SMOKE = ("--configfile", "config/smoke.yaml")


MEASURES = ("regimes", "coordination", "organization", "attention", "spectra")


def test_another_run_on_one_core_writes_the_same_bytes(smoke_run, tmp_path):
    """Text, tokenizer, rows, training and every measure of a checkpoint; against the run on two cores."""
    project = copy_project(tmp_path)
    targets = [f"results/smoke/neox-tiny/step16/{measure}.parquet" for measure in MEASURES]
    snakemake(project, *targets, *SMOKE, "--cores", "1")
    first, second = smoke_run / "results/smoke", project / "results/smoke"
    written = (".csv", ".parquet", ".npy", ".npz", ".safetensors", ".json")
    files = [path.relative_to(second) for path in second.rglob("*") if path.suffix in written]
    assert len(files) > 30
    assert [str(file) for file in files if (first / file).read_bytes() != (second / file).read_bytes()] == []
