"""What a run says before it begins and when it fails."""

from pathlib import Path

import pytest

from rareneurons.errors import RunError
from rareneurons.planning import outcome

pytestmark = pytest.mark.faults


def test_a_folder_that_is_not_there_yet_is_judged_by_the_one_above(tmp_path):
    outcome.refuse_unwritable(tmp_path / "results/new")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("writable", "free", "message"),
    [
        (False, 2**30, "this user may not write there"),
        (True, 2**20 - 1, r"the disk has 1\.0 MiB free; nothing was started"),
        (True, 0, r"the disk has 0\.0 MiB free; nothing was started"),
    ],
)
def test_no_permission_and_no_room_are_refused(tmp_path, monkeypatch, writable, free, message):
    monkeypatch.setattr(outcome.os, "access", lambda *_: writable)
    monkeypatch.setattr(outcome.shutil, "disk_usage", lambda _: type("Usage", (), {"free": free}))
    with pytest.raises(RunError, match=rf"^{tmp_path}: {message}"):
        outcome.refuse_unwritable(tmp_path / "results")


def test_leftovers_of_killed_jobs_are_removed_and_results_stay(tmp_path):
    (tmp_path / "model/.training.0badc0de.partial/step0").mkdir(parents=True)
    (tmp_path / "model/.table.csv.0badc0de.partial").touch()
    kept = [tmp_path / "model/table.csv", tmp_path / "model/.weights.partial"]
    for file in kept:
        file.touch()
    outcome.remove_leftovers(tmp_path)
    assert sorted(tmp_path.rglob("*.*")) == sorted(kept)


@pytest.mark.parametrize(
    ("log", "said"),
    [
        ("error: first\nerror: corpora[].file: gone\n", "corpora[].file: gone"),
        ("Traceback (most recent call last):\n  File\nValueError: bad\n", "ValueError: bad (traceback in {log})"),
        ("some lines\n", "ended without a message, as a job does that is killed"),
        (None, "ended without a message, as a job does that is killed"),
    ],
)
def test_last_words_of_a_job(tmp_path, log, said):
    file = tmp_path / "job.log"
    if log is not None:
        file.write_text(log)
    assert outcome.Failure("trace m/step0", file).last_words().startswith(said.format(log=file))


def test_summary_counts_names_and_says_how_to_go_on(tmp_path):
    failures = [outcome.Failure(f"trace m/step{step}", tmp_path / "no.log") for step in (4, 0)]
    lines = outcome.summary(failures, 3, 5, "snakemake --cores 2")
    assert lines[0] == "Jobs that failed: 2"
    assert [line.split(":")[0] for line in lines[1:3]] == ["- trace m/step0", "- trace m/step4"]
    assert lines[3].endswith("need the results of these: 3")
    assert lines[4].endswith("finishes them first): 5")
    assert lines[5].endswith(": snakemake --cores 2")


def test_files_are_out_of_date_or_not_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("old.csv").touch()
    assert outcome.listing(["old.csv", "new.csv"]) == [
        "- new.csv (not there)",
        "- old.csv (from an earlier run, out of date)",
    ]
