"""Audit the checkpoints of a published run, or of a folder of checkpoints, and nothing else."""

import re
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO

import pandas as pd
from tqdm.auto import tqdm

from rareneurons.conventions import checkpoint_steps
from rareneurons.errors import CheckpointError
from rareneurons.model_folders.config_file import differing_sizes
from rareneurons.model_folders.folders import checkpoints_among, models_in
from rareneurons.models.audit import StoredCheckpoint, checkpoint_audit
from rareneurons.models.hub import branches_and_tags, listed_checkpoint, opened_on_hub, repository_files
from rareneurons.models.stored import config_on_hub, stored_in_folder, stored_on_hub
from rareneurons.models.weight_seeds import seed_findings
from rareneurons.tables import CheckpointName

CONNECTIONS = 8
LARGEST_PATH_RATIO, SMALLEST_CLOSENESS = 3.0, 0.5  # ``audit`` in the configuration explains them
STEP = re.compile(r"(?:^|[-_/])(?:step|global_step|checkpoint|iter)[-_]?(\d+)(?=$|[-_/])")
MIB = 2**20


@dataclass(frozen=True)
class RunAudit:
    """``table``: ``AUDIT_COLUMNS``; ``bytes_read`` from the hub or the disk; ``seconds`` that it took."""

    table: pd.DataFrame
    bytes_read: int
    seconds: float

    @property
    def findings(self) -> pd.DataFrame:
        """Rows of checkpoints that are not what their names say."""
        return self.table[self.table["left_out"]]


def audit(
    source: str, revisions: Sequence[str] | None = None, beside: Sequence[str] = (), progress: bool = True
) -> RunAudit:
    """Check whether the checkpoints of a run are what their names say.

    File hashes are compared, and the distances and correlations of small samples of the weights, which are read from
    the hub in parts. ``models.audit`` lists the findings. A step that the run's own spacing implies and that has no
    branch is ``missing``.

    Args:
        source: ``owner/name`` on the hub, or a folder that holds one folder per checkpoint.
        revisions: branches, tags or commits; by default ``main`` and every branch and tag that is named after a step.
            Of a folder, names of checkpoints such as ``step512``.
        beside: other runs of the same family, ``owner/name``. The initial weights are compared with theirs; without
            them, weights from another seed than the named one cannot be noticed.
        progress: whether a bar is shown.

    Returns:
        The audit.

    Raises:
        HubError: the hub cannot be reached or has no such repository.
        CheckpointError: the checkpoints are models of different sizes, there is none, or two are of one step.
    """
    started, read = time.monotonic(), Counter[str]()
    if Path(source).is_dir():
        found = _of_folder(Path(source), revisions, progress)
        read["hashed"] = sum(file["size"] for each in found for file in each.files.values())
    else:
        found = _of_hub(source, revisions, read, progress)
    if revisions is None:
        found += [
            StoredCheckpoint(CheckpointName(source, f"step{step}"), source, missing="no branch or folder of this step")
            for step in absent_steps([each.name.step for each in found])
        ]
    table = checkpoint_audit(found, LARGEST_PATH_RATIO, SMALLEST_CLOSENESS)
    starts = {other: _start(other, read) for other in beside}
    for checkpoint, (finding, reason) in seed_findings(source, found, starts).items():
        here = (table["checkpoint"] == checkpoint) & ~table["finding"].isin(["missing", "duplicate"])
        table.loc[here, ["finding", "left_out", "reason"]] = finding, True, reason
    return RunAudit(table, read.total(), time.monotonic() - started)


def named_step(revision: str) -> str | None:
    """Checkpoint that the name of a branch, tag or folder refers to: ``step512`` or ``main``; None for other names."""
    found = STEP.search(revision)
    return f"step{int(found[1])}" if found else "main" if revision == "main" else None


def absent_steps(steps: Sequence[int]) -> list[int]:
    """Steps that a regular spacing implies and that are not there; none if the spacing is not regular.

    The spacing is the most frequent distance of neighbouring steps, if at least half of those at or above it are equal
    to it. If half of the doublings 1, 2, 4, ..., 512 are there, the others are expected too (Pythia's schedule).
    """
    there = sorted({step for step in steps if step >= 0})
    gaps = [after - before for before, after in pairwise(there)]
    expected: set[int] = set()
    if gaps:
        every, n = max(Counter(gaps).items(), key=lambda each: (each[1], each[0]))
        wide = [gap for gap in gaps if gap >= every]
        if n >= 3 and 2 * n >= len(wide):
            first = next(step for step, gap in zip(there, gaps, strict=False) if gap == every)
            expected |= set(range(first, there[-1], every))
    early = {step for step in checkpoint_steps(512, 1024) if step}
    if there and there[-1] > 512 and 2 * len(early & set(there)) >= len(early):
        expected |= early
    return sorted(expected - set(there))


def _of_folder(folder: Path, revisions: Sequence[str] | None, progress: bool) -> list[StoredCheckpoint]:
    places = _places(folder)
    wanted = {name: places.get(name, str(folder / name)) for name in (places if revisions is None else revisions)}
    found = []
    for name, place in tqdm(wanted.items(), desc="hash", disable=not progress, leave=False):
        checkpoint = CheckpointName(str(folder), name)
        if Path(place).is_dir():
            found.append(stored_in_folder(checkpoint, Path(place)))
        else:
            found.append(StoredCheckpoint(checkpoint, place, missing="no such folder"))
    return found


def _places(folder: Path) -> dict[str, str]:
    try:
        return checkpoints_among(str(folder), models_in(str(folder)) or {}, main_is_left_out=False)
    except ValueError as error:
        raise CheckpointError(str(error)) from error


def _of_hub(
    repository: str, revisions: Sequence[str] | None, read: Counter[str], progress: bool
) -> list[StoredCheckpoint]:
    if repository.count("/") != 1:
        raise CheckpointError(f"{repository}: found no such folder; expected owner/name on the hub, or a folder")
    opened = partial(_counted, read)
    known = branches_and_tags(repository)
    wanted = [name for name in known if named_step(name)] if revisions is None else list(revisions)
    names = [CheckpointName(repository, named_step(revision) or revision) for revision in wanted]
    twice = [name for name, n in Counter(name.checkpoint for name in names).items() if n > 1]
    if twice:
        same = [revision for revision, name in zip(wanted, names, strict=True) if name.checkpoint == twice[0]]
        raise CheckpointError(
            f"{repository}: found {' and '.join(same)}, both of {twice[0]}; name the ones you mean with --revisions"
        )
    if not wanted:
        raise CheckpointError(f"{repository}: found no branch main and none of a step; name branches with --revisions")
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        listings = list(pool.map(partial(_listed, repository, known), wanted))
        configs = dict(zip(wanted, pool.map(partial(config_on_hub, opened=opened), listings), strict=True))
        different = differing_sizes(configs)
        if different:
            raise CheckpointError(f"{repository}: {different}")
        found = pool.map(partial(stored_on_hub, opened=opened), names, listings)
        return list(tqdm(found, desc="audit", total=len(names), unit=" checkpoints", disable=not progress, leave=False))


def _listed(repository: str, known: Sequence[str], revision: str) -> Mapping[str, Any]:
    if revision in known:
        return {"repository": repository, "revision": revision, **repository_files(repository, revision)}
    return listed_checkpoint(repository, revision)


def _start(repository: str, read: Counter[str]) -> StoredCheckpoint:
    """Step 0 of another run."""
    revision = next((name for name in branches_and_tags(repository) if named_step(name) == "step0"), None)
    if revision is None:
        raise CheckpointError(f"{repository}: found no branch of step 0, with which initial weights are compared")
    listing = {"repository": repository, "revision": revision, **repository_files(repository, revision)}
    return stored_on_hub(CheckpointName(repository, "step0"), listing, partial(_counted, read))


@contextmanager
def _counted(read: Counter[str], repository: str, commit: str, name: str) -> Iterator[BinaryIO]:
    """A file on the hub whose bytes that were asked for are added to ``read`` under its name."""
    with opened_on_hub(repository, commit, name) as file:
        yield file
        read[name] += getattr(file, "cache").total_requested_bytes  # noqa: B009  fsspec's, which BinaryIO lacks
