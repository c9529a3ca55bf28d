"""The same seed gives the same numbers: on one core or two, today or tomorrow, as a module or not, bit for bit."""

import pytest
from conftest import PROJECT, remote_of, snakemake, user_folder

pytestmark = pytest.mark.workflow
MEASURES = ("regimes", "coordination", "organization", "attention", "spectra")


def test_another_run_writes_the_same_bytes(smoke_run, tmp_path, monkeypatch):
    """Text, tokenizer, rows, training and every measure of a checkpoint; against the run on two cores.

    The other run is on one core, in another folder, by rules that a Snakefile imports from a git repository under other
    names and below a prefix.
    """
    monkeypatch.setenv("PYTHONPATH", str(PROJECT / "src"))  # in the place of an installed library
    folder = user_folder(tmp_path, remote_of(tmp_path), prefix="sub", names=" as other_*")
    targets = [f"sub/results/smoke/neox-tiny/step16/{measure}.parquet" for measure in MEASURES]
    done = snakemake(folder, *targets, "--cores", "1")
    assert "rule other_attention:" in done.stderr + done.stdout
    first, second = smoke_run / "results/smoke", folder / "sub/results/smoke"
    assert not (folder / "results").exists()
    written = (".csv", ".parquet", ".npy", ".npz", ".safetensors", ".json")
    files = [path.relative_to(second) for path in second.rglob("*") if path.suffix in written]
    assert len(files) > 30
    assert [str(file) for file in files if (first / file).read_bytes() != (second / file).read_bytes()] == []
