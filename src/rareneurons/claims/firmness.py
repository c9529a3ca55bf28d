"""How many of the choices that ought not to matter give the same verdict; ``comparison.firmness`` has the table."""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

OWN = "own"  # the choice of the run's own verdict
NOT_COMPUTED = "not computed"


@dataclass(frozen=True)
class Firmness:
    """A verdict under other choices: ``n`` that were computed, ``other``: choice -> verdict where it is another one."""

    n: int
    other: Mapping[str, str]


def firmness_by_claim(firmness: pd.DataFrame) -> dict[tuple[str, str], Firmness]:
    """(claim, model) -> its firmness.

    Args:
        firmness: the table ``firmness``.
    """
    others = firmness[firmness["choice"] != OWN]
    found = {}
    for (claim, model), rows in others.groupby(["claim", "model"], sort=False):
        computed = rows[rows["verdict"] != NOT_COMPUTED]
        changed = computed[computed["changed"]]
        other = dict(zip(changed["choice"], changed["verdict"], strict=True))
        found[str(claim), str(model)] = Firmness(len(computed), other)
    return found
