"""What every script shares: one message for a fault, and outputs that are whole or not there."""

import errno
import logging
import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import rareneurons_jobs.job as shared
from rareneurons.errors import CorpusError, DamagedFileError

pytestmark = pytest.mark.faults


@pytest.fixture
def job(tmp_path):
    """What Snakemake gives a script."""
    yield SimpleNamespace(
        rule="rule",
        wildcards={},
        threads=1,
        input=[],
        log=[str(tmp_path / "log")],
        output=[str(tmp_path / "out/table.csv")],
    )
    logging.basicConfig(force=True)  # the log is closed


def log_of_failure(job, main) -> str:
    with pytest.raises(SystemExit) as ended:
        shared.run(main, job)
    assert ended.value.code == 1
    with open(job.log[0]) as log:
        return log.read()


def raising(error: Exception):
    def main(_job):
        raise error

    return main


def fill_the_disk(_job):
    with open("/dev/full", "w") as file:
        file.write("x" * 100_000)


@pytest.mark.parametrize(
    "main",
    [
        fill_the_disk,
        raising(OSError(errno.EDQUOT, "Disk quota exceeded")),
        raising(Exception("Error while serializing: I/O error: No space left on device (os error 28)")),
    ],
)
def test_full_disk_names_the_folder_and_its_free_space(job, main, tmp_path):
    (tmp_path / "out").mkdir()
    log = log_of_failure(job, main)
    assert f"error: {tmp_path}/out: the disk is full or a quota is used up (" in log
    assert "MiB free). Nothing of this job was kept. Make room" in log
    assert "Traceback" not in log


@pytest.mark.parametrize(
    ("error", "place"),
    [
        (PermissionError(errno.EACCES, "Permission denied", "/there/file"), "/there/file: Permission denied"),
        (OSError(errno.EROFS, "Read-only file system"), "out: Read-only file system"),
        (Exception('I/O error: Read-only file system (os error 30) at path "x"'), "out: Read-only file system"),
    ],
)
def test_forbidden_place_is_named(job, error, place):
    log = log_of_failure(job, raising(error))
    assert f"{place}. Nothing of this job was kept. Let this user read and write there" in log
    assert "Traceback" not in log


@pytest.mark.parametrize(
    "main", [lambda _job: np.empty(10**16), lambda _job: torch.empty(10**16), raising(torch.OutOfMemoryError("CUDA"))]
)
def test_out_of_memory_says_what_to_lower(job, main):
    log = log_of_failure(job, main)
    assert "error: rule: out of memory (" in log
    assert "trace.batch_size" in log
    assert "Traceback" not in log


def test_a_user_s_error_is_one_line_and_an_error_of_the_code_has_its_traceback(job):
    assert "\nerror: corpora[].file: gone\n" in log_of_failure(job, raising(CorpusError("corpora[].file: gone")))
    log = log_of_failure(job, raising(ValueError("unexpected")))
    assert "Traceback" in log
    assert "error: " not in log.lower().replace("valueerror: ", "")


def test_log_that_cannot_be_written_is_said_on_the_terminal(job, tmp_path):
    (tmp_path / "out").mkdir()
    job.log = ["/dev/full"]
    with pytest.raises(SystemExit, match="the disk is full"):
        shared.run(lambda _job: None, job)


def test_a_block_that_fails_leaves_the_old_file_alone(tmp_path):
    target = tmp_path / "table.csv"
    target.write_text("old")

    def half_a_file():
        with shared.atomic(str(target)) as partial:
            Path(partial).write_text("half")
            raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011
        half_a_file()
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["table.csv"]


def test_two_writers_of_one_file_never_mix(tmp_path):
    """A job that outlived its Snakemake ends between the first and the second half of the one started in its place."""
    target = tmp_path / "table.csv"
    with shared.atomic(str(target)) as orphaned, open(orphaned, "w") as old:
        old.write("old first half, ")
        with shared.atomic(str(target)) as started, open(started, "w") as new:
            new.write("new first half, ")
            old.write("old second half")
            new.write("new second half")
        assert target.read_text() == "new first half, new second half"
    assert target.read_text() == "old first half, old second half"
    assert os.listdir(tmp_path) == ["table.csv"]


def test_a_folder_takes_another_s_place(tmp_path):
    target = tmp_path / "training"
    for step in ("step0", "step1"):
        with shared.atomic(str(target)) as partial:
            os.makedirs(f"{partial}/{step}")
    assert os.listdir(target) == ["step1"]
    assert os.listdir(tmp_path) == ["training"]


def cut_short(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def written(name: str, folder: Path) -> Path:
    """A small file as the jobs write it."""
    file, frame = folder / name, shared.pd.DataFrame({"a": np.arange(1000.0)})
    content = {"a": np.arange(1000)}
    write = {
        ".parquet": lambda: shared.write_parquet(frame, str(file)),
        ".safetensors": lambda: shared.write_arrays(content, str(file)),
        ".npz": lambda: np.savez(file, **content),
        ".npy": lambda: np.save(file, content["a"]),
        ".json": lambda: shared.write_json({"a": list(range(100))}, str(file)),
    }
    write[file.suffix]()
    return file


@pytest.mark.parametrize("name", ["t.parquet", "t.safetensors", "t.npz", "t.npy", "t.json"])
@pytest.mark.parametrize("damage", [cut_short, lambda file: file.write_bytes(b"")])
def test_a_damaged_file_of_the_run_is_named_and_what_to_do(job, tmp_path, name, damage):
    run = tmp_path / "results/demo"
    (run / "logs").mkdir(parents=True)
    whole, file, foreign = written("a.parquet", run), written(name, run), written("f.parquet", tmp_path)
    job.log, job.input = [str(run / "logs/rule.log")], [str(foreign), str(whole), str(file)]
    assert "Traceback" in log_of_failure(job, raising(ValueError("an error of the code")))
    cut_short(foreign)  # no file of the run: a user's corpus is not to be deleted
    assert "Traceback" in log_of_failure(job, raising(ValueError("an error of the code")))
    damage(file)
    log = log_of_failure(job, raising(ValueError("whatever the reader says")))
    assert f"\nerror: {file}: cannot be read (" in log
    assert log.endswith("This run made it: delete it and run again\n")
    assert "Traceback" not in log


@pytest.mark.parametrize("of_run", [True, False])
def test_a_damaged_checkpoint_that_the_run_made_is_to_be_deleted(job, tmp_path, of_run):
    run = tmp_path / "results/demo"
    training = run / "neox/training" if of_run else tmp_path / "mine"
    for folder in (run / "logs", training):
        folder.mkdir(parents=True)
    job.log, job.input = [str(run / "logs/rule.log")], [str(training)]
    log = log_of_failure(job, raising(DamagedFileError("model.safetensors: cannot be read: it ends")))
    assert "\nerror: model.safetensors: cannot be read: it ends" in log
    assert (f"This run made {training}: delete it and run again" in log) == of_run


def test_progress_of_a_loop_has_a_total(job, monkeypatch):
    monkeypatch.setitem(shared.BAR, "delay", 0)
    monkeypatch.setitem(shared.BAR, "mininterval", 0)
    shared.run(lambda _job: list(shared.progress("trace m/step8")([7, 8, 9])), job)
    log = Path(job.log[0]).read_text()
    assert "1/3" in log
    assert "3/3" in log
    with pytest.raises(TypeError, match="len"):
        shared.progress("no one knows how long")(number for number in range(3))


def test_progress_of_an_amount_has_a_total(job, monkeypatch):
    monkeypatch.setitem(shared.BAR, "delay", 0)
    monkeypatch.setitem(shared.BAR, "mininterval", 0)

    def main(_job):
        with shared.progress_of("influence m/step8", 4_000_000, "pairs") as advance:
            advance(1_000_000)
            advance(3_000_000)

    shared.run(main, job)
    log = Path(job.log[0]).read_text()
    assert "25%" in log
    assert "1.00M/4.00M" in log
    assert "4.00M/4.00M" in log
