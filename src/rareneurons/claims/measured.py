"""Numbers that verdicts rest on: which neurons, looked up, in words."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pandas as pd

from rareneurons.claims.bounds import Bounds
from rareneurons.groups import FIXED_PREFIX
from rareneurons.tables import PLATEAU_TEST, last_checkpoints

Finder = Callable[[str], pd.Series | None]  # a measure's number by the end of its name
PLATEAU = "plateau"


def tables_of(model: str, tables: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """What verdicts on a model look at: its last checkpoint, whatever earlier ones have, and its whole audit."""
    mine = {name: table[table["model"] == model] for name, table in tables.items()}
    return {name: table if name == "audit" else last_checkpoints(table) for name, table in mine.items()}


def finder(group: str, measure: str, table: pd.DataFrame, condition: str) -> Finder:
    """Function of the end of a measure's name that looks its number up; None where there is none.

    Args:
        group: group of neurons.
        measure: the beginning of the name.
        table: of one model's last checkpoint.
        condition: condition.
    """
    rows = table[(table["condition"] == condition) & (table["group"] == group)]

    def find(end: str) -> pd.Series | None:
        found = rows[rows["measure"] == measure + end]
        return None if found.empty else found.iloc[0]

    return find


def plateau_test(regimes: pd.DataFrame, condition: str) -> pd.Series | None:
    """Whether there is a plateau among the boost neurons: 1 or 0, with the p of the head's departure."""
    return finder("boost", PLATEAU_TEST, regimes, condition)("")


@dataclass(frozen=True)
class Head:
    """The ``size`` neurons that claims about plateau neurons are decided on."""

    group: str
    size: int

    @property
    def words(self) -> str:
        """Who they are; the paper's fixed cut is named where it stands in for a plateau."""
        if self.group == PLATEAU:
            return f"the {self.size} plateau neurons"
        return f"the {self.size} most influential neurons (the paper's fixed cut, no plateau was found)"


def head_of(tables: Mapping[str, pd.DataFrame], bounds: Bounds) -> Head:
    """The plateau where the test declares one for ``bounds.condition``, else the head by the paper's fixed cut."""
    test = plateau_test(tables["regimes"], bounds.condition)
    group = PLATEAU if test is not None and test["value"] == 1 else FIXED_PREFIX + PLATEAU
    return Head(group, int((tables["groups"]["group"] == group).sum()))


def n_checkpoints(audit: pd.DataFrame) -> int:
    """Checkpoints whose training step is known and that the audit has not left out."""
    return int(((audit["step"] >= 0) & ~audit["left_out"]).sum())


def with_interval(number: pd.Series) -> str:
    """Value and interval in words."""
    return f"{number['value']:.2g} (95 % interval {number['ci_low']:.2g} to {number['ci_high']:.2g})"


def percent(share: float, sign: str = "") -> str:
    """A share in percent; ``sign`` "+" shows the sign of positive ones too."""
    return f"{round(100 * share, 1):{sign}g} %"
