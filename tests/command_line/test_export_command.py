"""``rareneurons export``: one command for a model of a run, and what it says where it cannot."""

import sys

import pytest
from conftest import PROJECT

from rareneurons.command_line import main

sys.path.insert(0, str(PROJECT / "tests/export"))
from exported_run import CHECKPOINT, MODEL, write_run


def test_one_command_writes_both_and_says_what_comes_next(tmp_path, capsys):
    run, out = write_run(tmp_path, [1, 4]), tmp_path / "out"
    assert main(["export", str(run), MODEL, str(out), "--creator", "A group"]) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"2 neurons with 8 examples, {MODEL}/{CHECKPOINT}\n")
    assert "hf upload" in said
    assert "The licence is 'unknown'" in said
    assert (out / "dataset/README.md").is_file()
    assert (out / f"neuronpedia/{MODEL}/1-rare-neurons/features/batch-0.jsonl.gz").is_file()
    assert main(["export", str(run), MODEL, str(out)]) == 2
    assert "found files in it; expected a new or empty folder" in capsys.readouterr().err


@pytest.mark.faults
def test_a_creator_has_a_name(capsys):
    with pytest.raises(SystemExit):
        main(["export", "run", MODEL, "out", "--creator", ""])
    assert "argument --creator: found an empty text, expected a name" in capsys.readouterr().err


@pytest.mark.faults
def test_what_is_missing_is_named(tmp_path, capsys):
    run = write_run(tmp_path, [1])
    (run / MODEL / CHECKPOINT / "top_examples.parquet").unlink()
    for arguments, said in (
        ([str(tmp_path), MODEL], "found no claims.csv; expected the folder of a finished run"),
        ([str(run), "other"], f"found no model 'other'; expected one of {MODEL}"),
        ([str(run), MODEL], f"{CHECKPOINT}: found no top_examples.parquet; expected a run of rareneurons"),
    ):
        assert main(["export", *arguments, str(tmp_path / "out")]) == 2
        assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
