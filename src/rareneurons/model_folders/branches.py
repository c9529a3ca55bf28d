"""Branches of a repository that hold the checkpoints of a training run: which steps there are, and their names."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from rareneurons.conventions import checkpoint_steps

STEP = "{step}"
FIELD = re.compile(r"\{[a-z_]+\}")  # a part of a name that changes with the step: {step}, {tokens}
SHOWN = 8


@dataclass(frozen=True)
class Schedule:
    """A family's training steps, and how it names the branch of a step."""

    steps: frozenset[int]
    revision: str


def spaced_steps(*spacings: tuple[int, int]) -> list[int]:
    """Steps that a run saves by rules of the form "every ``every`` steps until ``until``", one after the other.

    Args:
        spacings: ``(every, until)``, in the order of ``until``.

    Examples:
        >>> spaced_steps((10, 30), (50, 150))
        [10, 20, 30, 50, 100, 150]
    """
    steps, done = [], 0
    for every, until in spacings:
        steps += [step for step in range(every, until + 1, every) if step > done]
        done = until
    return steps


SCHEDULES: Mapping[str, Schedule] = {
    # Biderman et al. 2023 (arXiv 2304.01373), section 2; its seeds too (van der Wal et al. 2025, arXiv 2503.09543)
    "pythia": Schedule(frozenset(checkpoint_steps(143000, 1000)), f"step{STEP}"),
    # `checkpoint_frequency` in conf/mistral-small.yaml of github.com/stanford-crfm/mistral
    "mistral-crfm": Schedule(
        frozenset(spaced_steps((10, 100), (50, 2000), (100, 20000), (1000, 400000))), f"checkpoint-{STEP}"
    ),
}


def schedule_of(model: Mapping[str, Any]) -> Schedule | None:
    """The schedule that a hub model's entry in the configuration names; None without one."""
    return SCHEDULES[model["schedule"]] if "schedule" in model else None


def revision_of(model: Mapping[str, Any], checkpoint: str) -> str:
    """Branch of a hub model's checkpoint, or the commit that the configuration pins it to.

    Parts of the name that only the repository knows are left open, as ``{tokens}``.

    Args:
        model: its entry in the configuration.
        checkpoint: ``main`` or ``step<number>``.
    """
    if checkpoint in model.get("commits", {}):
        return model["commits"][checkpoint]
    if checkpoint == "main":
        return checkpoint
    schedule = schedule_of(model)
    revision = model.get("revision") or (schedule.revision if schedule else f"step{STEP}")
    return revision.replace(STEP, checkpoint.removeprefix("step"))


def branches_like(revision: str, names: Iterable[str]) -> list[str]:
    """The names that a revision stands for, with any letters, digits and dots in place of its open parts.

    Examples:
        >>> branches_like("stage1-step10000-tokens{tokens}B", ["main", "stage1-step10000-tokens21B"])
        ['stage1-step10000-tokens21B']
    """
    fixed = map(re.escape, FIELD.split(revision))
    pattern = re.compile("[A-Za-z0-9.]+".join(fixed))
    return sorted(name for name in names if pattern.fullmatch(name))


def nearest_branches(revision: str, names: Iterable[str]) -> str:
    """Names that are most like a revision, for a message."""
    known = sorted(names)
    found = get_close_matches(revision, known, n=SHOWN, cutoff=0)
    return ", ".join(found) + ", ..." * (len(known) > len(found)) if known else "none"
