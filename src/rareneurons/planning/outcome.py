"""Messages of a run that cannot begin, or that ends before it is complete."""

import os
import shutil
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from rareneurons.errors import RunError

LEAST_BYTES = 2**20  # Snakemake's own notes on a run's files need this much


def refuse_unwritable(path: str | Path) -> None:
    """Stop before anything is started where its files could not be written.

    Raises:
        RunError: no permission, or hardly any free space; names the folder.
    """
    folder = Path(path).absolute()
    while not folder.exists():
        folder = folder.parent
    if not os.access(folder, os.W_OK | os.X_OK):
        raise RunError(
            f"{folder}: this user may not write there (permissions, or mounted read-only); nothing was started. "
            "Change that, or run elsewhere: snakemake --directory FOLDER"
        )
    free = shutil.disk_usage(folder).free
    if free < LEAST_BYTES:
        raise RunError(
            f"{folder}: the disk has {free / 2**20:.1f} MiB free; nothing was started. Make room, or run on a larger "
            "disk: snakemake --directory FOLDER"
        )


def remove_leftovers(folder: str | Path) -> None:
    """Delete half-written files of jobs that were killed; nothing else may write in the folder meanwhile."""
    for partial in Path(folder).rglob(".*.????????.partial"):
        shutil.rmtree(partial) if partial.is_dir() else partial.unlink()


@dataclass(frozen=True)
class Failure:
    """A failed job: its rule with its wildcards, and its log."""

    job: str
    log: Path

    def last_words(self) -> str:
        """Why it failed: the message in its log, else a traceback's last line, else that something stopped it."""
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        said = [line for line in lines if line.startswith("error: ")]
        if said:
            return said[-1].removeprefix("error: ")
        if any(line.startswith("Traceback") for line in lines):
            return f"{lines[-1]} (traceback in {self.log})"
        return (
            f"ended without a message, as a job does that is killed, by a person or because memory ran out ({self.log})"
        )


def summary(failures: Collection[Failure], n_lost: int, n_unfinished: int, command: str) -> list[str]:
    """What failed, why, and how to continue, line by line.

    Args:
        failures: the failed jobs.
        n_lost: jobs that need the results of the failed ones.
        n_unfinished: other jobs that the run had not finished when it stopped.
        command: what was run.
    """
    return [
        f"Jobs that failed: {len(failures)}",
        *sorted(f"- {failure.job}: {failure.last_words()}" for failure in failures),
        f"Not started, because they need the results of these: {n_lost}",
        f"Not finished when the run stopped (--keep-going finishes them first): {n_unfinished}",
        f"Once the cause is removed, the same command continues where this run stopped: {command}",
        "For each message, docs/when_it_stops.md says what to do",
    ]


def listing(files: Collection[str]) -> list[str]:
    """A line for each file that is missing or out of date."""
    return sorted(
        f"- {file} ({'from an earlier run, out of date' if Path(file).exists() else 'not there'})" for file in files
    )
