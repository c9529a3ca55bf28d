"""Are the checkpoints of a run what their names say? Files, hashes and distances, before anything is computed.

Some published runs hold checkpoints that are not: branches that serve the final weights under an early step, two steps
with the same weights, missing files (EleutherAI/pythia issues 83, 202, 203, 205, 206). Trends over such a run are
wrong.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from rareneurons.tables import IDENTITY, CheckpointName

LONGEST_GAP = 5000  # steps; over many more, weight decay alone may leave nothing of the first weights
CHANCE_ERRORS = 4  # standard errors from 0 that the correlation of independent weights stays within
AUDIT_COLUMNS = [
    *IDENTITY,
    "source",
    "revision",
    "commit",
    "n_files",
    "bytes",
    "weights_hash",
    "identical_to",
    "distance_to_previous",
    "path_ratio",
    "distance_to_last",
    "correlation_with_next",
    "finding",
    "left_out",
    "reason",
]


@dataclass(frozen=True)
class StoredCheckpoint:
    """What lies under a checkpoint's name.

    ``files``: name -> ``size`` (bytes) and ``sha256``; ``sample``: parameter -> some of its values, float32, empty
    where they could not be read; ``missing``: why there is no usable checkpoint, else empty.
    """

    name: CheckpointName
    source: str
    revision: str = ""
    commit: str = ""
    files: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    sample: Mapping[str, np.ndarray] = field(default_factory=dict)
    missing: str = ""

    @property
    def weight_hashes(self) -> dict[str, str]:
        """SHA-256 of each file that holds weights, in the order of their names; empty if one is not known."""
        names = sorted(name for name in self.files if name.endswith((".safetensors", ".bin")))
        known = all(self.files[name]["sha256"] for name in names)
        return {name: str(self.files[name]["sha256"]) for name in names} if known else {}

    @property
    def weights_hash(self) -> str:
        """SHA-256 over the hashes of the files that hold weights; empty without them."""
        hashes = self.weight_hashes.values()
        return hashlib.sha256(" ".join(hashes).encode()).hexdigest() if hashes else ""


def checkpoint_audit(
    checkpoints: Sequence[StoredCheckpoint], largest_path_ratio: float, smallest_closeness: float
) -> pd.DataFrame:
    """What is wrong with the checkpoints of one model.

    ``finding`` is the first that applies:

    * ``missing``: no such revision, or no weights in it;
    * ``duplicate``: the same weights as a later step. The later one counts: where this was seen in published runs, late
      weights had an early name;
    * ``mixed``: some of its weight files are those of a later step, and others are not;
    * ``outlier``: the path ratio is above ``largest_path_ratio``: the distance from the step before to this one and on
      to the step after, divided by the direct distance. It is 1 on a straight path, 1.4 (the root of 2) on a random
      walk, 2 for independent noise around one point;
    * ``misplaced``: the closeness is below ``smallest_closeness``: its distance to the last checkpoint, divided by that
      of some later checkpoint. Late weights, not quite the last ones, may have an early name. Outliers do not count;
    * ``unrelated``: the run breaks here. Its matrices do not correlate with those of the neighbour, at most
      ``LONGEST_GAP`` steps away, by more than independent ones do; training that began with one of them would have kept
      most of it. The longest stretch without a break is taken for the run;
    * ``ok``.

    Distances are Euclidean, between the samples, as a share of the last checkpoint's norm. The first and the last
    checkpoint have no path ratio.

    Args:
        checkpoints: of one model; those without a training step are compared by hash alone.
        largest_path_ratio: above 1.
        smallest_closeness: between 0 and 1.

    Returns:
        ``AUDIT_COLUMNS``, one row per checkpoint in the order of steps; ``left_out`` of every statement about training.
    """
    ordered = sorted(checkpoints, key=lambda checkpoint: checkpoint.name.step)
    findings = {checkpoint.name.checkpoint: _duplicate_or_missing(checkpoint, ordered) for checkpoint in ordered}
    path = [c for c in ordered if c.name.step >= 0 and c.sample and findings[c.name.checkpoint][0] == "ok"]
    steps = [checkpoint.name.checkpoint for checkpoint in path]
    distances = _distances([checkpoint.sample for checkpoint in path])
    ratios = _path_ratios(distances)
    outlier = np.nan_to_num(ratios) > largest_path_ratio
    for place in np.flatnonzero(outlier).tolist():
        findings[steps[place]] = (
            "outlier",
            f"{ratios[place]:.3g} times the direct distance from {steps[place - 1]} to {steps[place + 1]}; at most "
            f"{largest_path_ratio:g}",
        )
    for place in _misplaced(distances, outlier, smallest_closeness):
        later = place + 1 + int(np.argmax(np.where(outlier, 0, distances[-1])[place + 1 :]))
        findings[steps[place]] = (
            "misplaced",
            f"lies {distances[-1, place]:.3g} from {steps[-1]}, the later {steps[later]} {distances[-1, later]:.3g}",
        )
    kept = [checkpoint for checkpoint in path if findings[checkpoint.name.checkpoint][0] == "ok"]
    findings |= _breaks(kept)
    following = {before.name.checkpoint: correlation(before, after)[0] for before, after in pairwise(path)}
    measured = {
        step: (distances[place, place - 1] if place else np.nan, ratios[place], distances[-1, place])
        for place, step in enumerate(steps)
    }
    records = [
        _record(checkpoint, ordered, *measured.get(checkpoint.name.checkpoint, (np.nan,) * 3))
        | {"correlation_with_next": following.get(checkpoint.name.checkpoint, np.nan)}
        | dict(zip(("finding", "reason"), findings[checkpoint.name.checkpoint], strict=True))
        for checkpoint in ordered
    ]
    frame = pd.DataFrame(records)
    return frame.assign(left_out=frame["finding"] != "ok")[AUDIT_COLUMNS]


def training_part(table: pd.DataFrame, audit: pd.DataFrame) -> pd.DataFrame:
    """A table's rows (columns ``model``, ``step``) without the checkpoints that the audit left out."""
    wrong = audit.loc[audit["left_out"], ["model", "step"]]
    return table[~pd.MultiIndex.from_frame(table[["model", "step"]]).isin(pd.MultiIndex.from_frame(wrong))]


def left_out_note(audit: pd.DataFrame, model: str) -> str:
    """Which of a model's checkpoints were left out, and why, as part of a sentence; empty where none was."""
    wrong = audit[audit["left_out"] & (audit["model"] == model)]
    named = ", ".join(f"{row.checkpoint} ({row.finding})" for row in wrong.itertuples())
    return f"left out, since they are not what their names say: {named}" if named else ""


def _identical(checkpoint: StoredCheckpoint, others: Sequence[StoredCheckpoint]) -> list[StoredCheckpoint]:
    """Other checkpoints with the same weights."""
    own = checkpoint.weights_hash
    return [other for other in others if own and other is not checkpoint and other.weights_hash == own]


def _duplicate_or_missing(checkpoint: StoredCheckpoint, others: Sequence[StoredCheckpoint]) -> tuple[str, str]:
    if checkpoint.missing:
        return "missing", checkpoint.missing
    later = [other for other in _identical(checkpoint, others) if other.name.step > checkpoint.name.step >= 0]
    if later:
        return "duplicate", f"the same weights as {later[-1].name.checkpoint}"
    for other in (each for each in reversed(others) if each.name.step > checkpoint.name.step >= 0):
        shared = sorted(set(checkpoint.weight_hashes.items()) & set(other.weight_hashes.items()))
        if shared:
            n_files = len(checkpoint.weight_hashes)
            return "mixed", f"{shared[0][0]} is that of {other.name.checkpoint} ({len(shared)} of {n_files} files)"
    return "ok", ""


def correlation(one: StoredCheckpoint, other: StoredCheckpoint) -> tuple[float, float]:
    """Mean correlation of two samples over the matrices that both have, and what it is by chance, at most.

    Each matrix is centred, and counts by its number of values. The second number is four standard errors of independent
    values. Both are NaN without a common matrix.
    """
    found, sizes = [], []
    for key in sorted(set(one.sample) & set(other.sample)):
        first, second = (each.sample[key].astype(np.float64) for each in (one, other))
        if first.shape == second.shape and first.std() > 0 and second.std() > 0:
            found.append(float(np.corrcoef(first, second)[0, 1]))
            sizes.append(len(first))
    if not found:
        return float("nan"), float("nan")
    return float(np.average(found, weights=sizes)), CHANCE_ERRORS / float(np.sqrt(sum(sizes)))


def _breaks(path: Sequence[StoredCheckpoint]) -> dict[str, tuple[str, str]]:
    """Findings of the checkpoints outside of the longest stretch without a break, the latest of several."""
    stretches: list[list[StoredCheckpoint]] = []
    reasons = {}
    for number, checkpoint in enumerate(path):
        before = path[number - 1] if number else None
        if before is not None and checkpoint.name.step - before.name.step <= LONGEST_GAP:
            found, chance = correlation(before, checkpoint)
            if found < chance:
                reasons[len(stretches)] = (
                    f"{before.name.checkpoint} and {checkpoint.name.checkpoint} correlate by {found:.2g}, independent "
                    f"weights by at most {chance:.2g}"
                )
                stretches.append([checkpoint])
                continue
        if before is None:
            stretches.append([])
        stretches[-1].append(checkpoint)
    if len(stretches) < 2:
        return {}
    longest = max(range(len(stretches)), key=lambda number: (len(stretches[number]), number))
    return {
        checkpoint.name.checkpoint: ("unrelated", reasons[number + 1 if number < longest else number])
        for number, stretch in enumerate(stretches)
        if number != longest
        for checkpoint in stretch
    }


def _record(
    checkpoint: StoredCheckpoint, others: Sequence[StoredCheckpoint], previous: float, ratio: float, last: float
) -> dict[str, Any]:
    return checkpoint.name.columns() | {
        "source": checkpoint.source,
        "revision": checkpoint.revision,
        "commit": checkpoint.commit,
        "n_files": len(checkpoint.files),
        "bytes": sum(file["size"] for file in checkpoint.files.values()),
        "weights_hash": checkpoint.weights_hash,
        "identical_to": " ".join(other.name.checkpoint for other in _identical(checkpoint, others)),
        "distance_to_previous": previous,
        "path_ratio": ratio,
        "distance_to_last": last,
    }


def _distances(samples: Sequence[Mapping[str, np.ndarray]]) -> np.ndarray:
    """Distances (checkpoints, checkpoints) over the parameters in all samples, in units of the last one's norm."""
    if not samples:
        return np.zeros((0, 0))
    common = [
        key for key, values in samples[-1].items() if all(key in s and s[key].shape == values.shape for s in samples)
    ]
    if not common:
        return np.full((len(samples),) * 2, np.nan)
    vectors = [np.concatenate([sample[key] for key in common]).astype(np.float64) for sample in samples]
    norm = np.linalg.norm(vectors[-1])
    return np.array([[np.linalg.norm(a - b) / norm for b in vectors] for a in vectors])


def _path_ratios(distances: np.ndarray) -> np.ndarray:
    """Path ratio of each checkpoint: the way over it between its neighbours over the direct one; NaN at both ends."""
    ratios = np.full(len(distances), np.nan)
    for place in range(1, len(distances) - 1):
        before, after = distances[place - 1, place], distances[place, place + 1]
        direct = distances[place - 1, place + 1]
        if direct > 0:
            ratios[place] = (before + after) / direct
    return ratios


def _misplaced(distances: np.ndarray, outlier: np.ndarray, smallest_closeness: float) -> list[int]:
    """Places of checkpoints that are much closer to the last one than a later checkpoint is."""
    found = []
    for place in range(len(distances) - 2):
        later = np.where(outlier, 0, distances[-1])[place + 1 : -1]
        if not outlier[place] and distances[-1, place] < smallest_closeness * later.max():
            found.append(place)
    return found
