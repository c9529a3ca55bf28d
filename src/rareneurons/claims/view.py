"""Which neurons, controls, rows and documents verdicts are about, and how their numbers are looked up."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from rareneurons.conventions import SELECTIVE, TOP, WITHOUT_TYPES
from rareneurons.groups import CONTROLLED, ControlKind
from rareneurons.tables import VALUE, last_checkpoints, rows_of

Split = Literal["discovery", "heldout"]
Tables = Mapping[str, pd.DataFrame]  # of one model: name of a measure -> its table
Finder = Callable[[str], pd.Series | None]  # row of a measure by the quantity that is wanted; None if there is none
PLATEAU = "plateau"


@dataclass(frozen=True)
class TopGroup:
    """The ``size`` top neurons on which claims about plateau neurons are decided; ``name`` names their group."""

    name: str
    size: int

    @property
    def is_plateau(self) -> bool:
        """Whether they are a plateau that the test declares; otherwise their number is that of the paper's cut."""
        return self.name == PLATEAU

    @property
    def is_top(self) -> bool:
        """Whether they are those before the paper's fixed cut, without a test."""
        return self.name == TOP

    @property
    def is_named(self) -> bool:
        """Whether a user named them, and no rule chose them."""
        return self.name not in CONTROLLED

    @property
    def is_selective(self) -> bool:
        """Whether they were chosen by how much more they matter for rare targets."""
        return self.name in (SELECTIVE, WITHOUT_TYPES[SELECTIVE])

    @property
    def is_of_no_known_type(self) -> bool:
        """Whether token-frequency and entropy neurons were left out before they were chosen."""
        return self.name in WITHOUT_TYPES.values()


@dataclass(frozen=True)
class View:
    """The neurons, controls, rows and documents that verdicts are about.

    ``condition``: the rows that neurons are chosen and described on (rare); ``contrast``: those they are compared with
    (common). ``group``: the neurons, whatever the run finds; with ``top_33``, whatever comes before the first fixed cut
    is called a plateau. None leaves the choice to the run: the ``selected`` group that C8 finds to matter more for rare
    targets, and without one the paper's (:meth:`paper_group`). ``controls``: the kind of control groups. ``split``: the
    documents that neurons are described on.
    ``shuffled``: beside matched groups, those chosen with shuffled labels are controls too. ``premise``: the view
    that C8 is decided by, where it is not this one. ``without_types``: groups were chosen among neurons of no known
    type; there is no such plateau, so the most influential neurons take its place.
    """

    condition: str
    contrast: str
    group: str | None = None
    controls: ControlKind = "matched"
    split: Split = "heldout"
    selected: str | None = None
    premise: "View | None" = None
    shuffled: bool = True
    without_types: bool = False

    @property
    def difference(self) -> str:
        """Name under which the tables have the difference between the two conditions."""
        return f"{self.condition}-{self.contrast}"

    @property
    def fixed_cuts(self) -> bool:
        """Whether the fixed cuts define the plateau, without a test."""
        return self.group == TOP

    def finder(
        self, table: pd.DataFrame, group: str, measure: str, part: str = "", against: str = "", condition: str = ""
    ) -> Finder:
        """Function of a quantity (``value``, ``difference``, ...) that looks its row up.

        Args:
            table: a measure's table of one model's last checkpoint. A table with a column ``split`` may hold rows of
                both splits; all others are about held-out documents.
            group: group of neurons.
            measure: what is measured.
            part: of what.
            against: what it is compared with.
            condition: the view's own condition if empty.
        """
        mine = table[(table["condition"] == (condition or self.condition)) & (table["group"] == group)]
        if "split" in mine:
            mine = mine[mine["split"] == self.split]

        def find(quantity: str) -> pd.Series | None:
            found = rows_of(mine, measure, part, quantity, against)
            return None if found.empty else found.iloc[0]

        return find

    def plateau(self, regimes: pd.DataFrame, condition: str) -> pd.Series | None:
        """Row that says whether the boost neurons have a plateau: 1 or 0, with the p of the test, if one is made."""
        part = "fixed" if self.fixed_cuts else "test"
        return self.finder(regimes, "boost", PLATEAU, part, condition=condition)(VALUE)

    def paper_group(self, tables: Tables) -> TopGroup:
        """The paper's neurons: the view's group, else the declared plateau, else the top neurons by the fixed cut."""
        name = self.chosen(TOP) if self.without_types else self.group
        if name is None:
            test = self.plateau(tables["regimes"], self.condition)
            name = PLATEAU if test is not None and test["value"] == 1 else TOP
        return self.named_group(name, tables)

    def chosen(self, group: str) -> str:
        """Name of the top or the selective group as this view means it."""
        return WITHOUT_TYPES[group] if self.without_types else group

    def top_group(self, tables: Tables) -> TopGroup:
        """The neurons that claims are decided on: those that were ``selected``, else the paper's."""
        if self.group is None and self.selected is not None:
            return self.named_group(self.selected, tables)
        return self.paper_group(tables)

    @staticmethod
    def named_group(name: str, tables: Tables) -> TopGroup:
        """A group of a model's last checkpoint with its size."""
        return TopGroup(name, int((tables["groups"]["group"] == name).sum()))


def tables_of(model: str, tables: Tables) -> Tables:
    """The tables for verdicts on a model: the rows of its last checkpoint, and its whole audit."""
    mine = {name: table[table["model"] == model] for name, table in tables.items()}
    return {name: table if name == "audit" else last_checkpoints(table) for name, table in mine.items()}


def checkpoint_steps(audit: pd.DataFrame) -> np.ndarray:
    """Training steps (n,), rising, of the checkpoints that have one and that the audit has not left out."""
    return np.sort(audit.loc[(audit["step"] >= 0) & ~audit["left_out"], "step"].to_numpy())
