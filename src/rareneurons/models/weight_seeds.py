"""Does a run start from the weights that its name says, as far as other runs of its family show?

Families of runs name the seed of their initial weights (``pythia-160m-weight-seed1``; ``-data-seed1`` keeps the
weights and changes the order of the data). Some continue the weights of another run (EleutherAI/pythia issue 203).
"""

import re
from collections.abc import Mapping, Sequence

from rareneurons.models.audit import LONGEST_GAP, StoredCheckpoint, correlation

SAME_START = 0.5  # correlation of early weights above which they come from the same initial ones


def weight_seed(repository: str) -> str:
    """Seed of the initial weights that a repository's name says; empty for the family's own."""
    found = re.search(r"(?:weight|init)[-_]seed[-_]?(\d+)", repository)
    if found is None and not re.search(r"data[-_]seed", repository):
        found = re.search(r"seed[-_]?(\d+)", repository)
    return found[1] if found else ""


def seed_findings(
    repository: str, run: Sequence[StoredCheckpoint], starts: Mapping[str, StoredCheckpoint]
) -> dict[str, tuple[str, str]]:
    """Checkpoints whose weights come from another seed than the repository's name says.

    Args:
        repository: ``owner/name`` of the audited run.
        run: its checkpoints. Those up to step ``LONGEST_GAP`` are compared; later ones may have forgotten their start.
        starts: other runs of the same architecture -> their checkpoint at step 0.

    Returns:
        Checkpoint -> (``seed``, reason), for the first of these that applies: its weights continue those of a run that
        names another seed; they are no relation to those of a run that names the same seed.
    """
    own, findings = weight_seed(repository), {}
    for checkpoint in run:
        if not 0 <= checkpoint.name.step <= LONGEST_GAP or not checkpoint.sample:
            continue
        for other, start in starts.items():
            found, chance = correlation(checkpoint, start)
            named = f"weight seed {weight_seed(other) or 'of the family'}"
            reason = ""
            if weight_seed(other) != own and found > SAME_START:
                reason = f"it continues step 0 of {other} ({named}): they correlate by {found:.3g}"
            elif weight_seed(other) == own and found < chance:
                reason = (
                    f"it does not continue step 0 of {other}, which has the same {named}: they correlate by {found:.2g}"
                )
            if reason:
                findings[checkpoint.name.checkpoint] = "seed", reason
                break
    return findings
