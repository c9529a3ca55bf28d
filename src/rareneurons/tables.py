"""The columns that mean the same thing everywhere, and the frames built from them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pandas as pd

FINAL_PREFIX = "final_"  # names groups of a model's last checkpoint where they are tracked backwards to earlier ones
IDENTITY = ["model", "checkpoint", "step"]
# What one row of a measure's table is about. The numbers follow in MEASURE_NUMBERS.
MEASURE_KEYS = [*IDENTITY, "condition", "group", "measure", "part", "quantity", "against"]
MEASURE_NUMBERS = [
    *("value", "ci_low", "ci_high"),
    *("null_mean", "null_low", "null_high", "null_n"),
    *("p_value", "q_value", "n", "unit", "reason"),
]
MEASURE_FLOATS = ["value", "ci_low", "ci_high", "null_mean", "null_low", "null_high", "p_value", "q_value"]
MEASURE_COLUMNS = [*MEASURE_KEYS, *MEASURE_NUMBERS]
DRAW_KEYS = ["condition", "group", "measure", "part", "quantity", "against"]
MAY_BE_EMPTY = ("part", "against", "reason", "need", "evidence")  # text columns that a CSV file may leave empty
VALUE, DIFFERENCE, RATIO = "value", "difference", "ratio"
EXCESS = "excess"  # a group's number less the mean of what it is compared with
INFLUENCE_COLUMNS = [
    *IDENTITY,
    "layer",
    "neuron",
    "condition",
    "split",
    "n_rows",
    "n_documents",
    "mean_delta_loss",
    "mean_abs_delta_loss",
    "se_delta_loss",
    "se_abs_delta_loss",
]
CLAIM_COLUMNS = [
    "claim",
    "model",
    "statistic",
    "value",
    "ci_low",
    "ci_high",
    "p_value",
    "n",
    "power",
    "bound",
    "verdict",
    "rule",
    "evidence",
    "sentence",
    "need",
]


@dataclass(frozen=True)
class CheckpointName:
    """Which checkpoint a table row is about: ``model/checkpoint`` and its training step.

    ``step`` is the number of optimiser steps, or -1 for a release without a known step (``main``).
    """

    model: str
    checkpoint: str

    @property
    def step(self) -> int:
        """Training step named by the checkpoint, -1 where its name holds none."""
        digits = self.checkpoint.removeprefix("step")
        return int(digits) if digits.isdigit() else -1

    def columns(self) -> dict[str, str | int]:
        """The three identity columns of every table."""
        return {"model": self.model, "checkpoint": self.checkpoint, "step": self.step}

    def labelled(self, table: pd.DataFrame) -> pd.DataFrame:
        """The table with the identity columns before its own."""
        return table.assign(**self.columns())[[*IDENTITY, *table.columns]]


@dataclass(frozen=True)
class Estimate:
    """One measured number; NaN means "not computed".

    ``measure``: what is measured; ``part``: of what (a matrix, a part of the rows, a kind of ablation); ``quantity``:
    which number of it (``value``, ``difference``, ``ratio``, ...); ``against``: what it is compared with (``random``,
    ``matched``, ``shift``, ...), empty if nothing. ``n`` counts what the value was computed from; ``ci_low`` and
    ``ci_high`` are its 95 % interval. ``null_mean``, ``null_low`` and ``null_high`` are the mean and the central 95 %
    of the ``null_n`` control groups, ``p_value`` the test against them, ``q_value`` that p-value after adjustment.
    ``reason`` says why there is no value or no p-value; it is empty where both exist.
    """

    measure: str
    value: float
    unit: str
    n: int
    ci_low: float = float("nan")
    ci_high: float = float("nan")
    p_value: float = float("nan")
    reason: str = ""
    part: str = field(default="", kw_only=True)
    quantity: str = field(default=VALUE, kw_only=True)
    against: str = field(default="", kw_only=True)
    null_mean: float = field(default=float("nan"), kw_only=True)
    null_low: float = field(default=float("nan"), kw_only=True)
    null_high: float = field(default=float("nan"), kw_only=True)
    null_n: int = field(default=0, kw_only=True)
    q_value: float = field(default=float("nan"), kw_only=True)

    @property
    def key(self) -> tuple[str, str, str, str]:
        """``measure``, ``part``, ``quantity`` and ``against``."""
        return self.measure, self.part, self.quantity, self.against


@dataclass(frozen=True)
class Draws:
    """Bootstrap draws ``values`` (B,) of one number, named as in :class:`Estimate`."""

    measure: str
    values: np.ndarray
    part: str = field(default="", kw_only=True)
    quantity: str = field(default=VALUE, kw_only=True)
    against: str = field(default="", kw_only=True)


def measure_frame(checkpoint: CheckpointName, estimates: Iterable[tuple[str, str, Estimate]]) -> pd.DataFrame:
    """Long table of (condition, group, estimate) triples with the columns ``MEASURE_COLUMNS``."""
    records = [
        {**checkpoint.columns(), "condition": condition, "group": group, **vars(estimate)}
        for condition, group, estimate in estimates
    ]
    frame = pd.DataFrame(records, columns=MEASURE_COLUMNS)
    # A table without rows has numbers, too: joined with others it must not turn theirs into objects.
    return frame.astype({"step": int, "null_n": int, **dict.fromkeys(MEASURE_FLOATS, float)})


def draws_frame(checkpoint: CheckpointName, draws: Iterable[tuple[str, str, Draws]]) -> pd.DataFrame:
    """Table of (condition, group, draws) triples: identity, ``DRAW_KEYS`` and ``draws`` (B,); none without draws.

    The draws of a value do not depend on what the value is compared with, so their ``against`` is empty.
    """
    rows = [
        (condition, group, each.measure, each.part, each.quantity, each.against, np.asarray(each.values, np.float64))
        for condition, group, each in draws
        if len(each.values)
    ]
    return checkpoint.labelled(pd.DataFrame(rows, columns=[*DRAW_KEYS, "draws"]))


def with_empty_text(table: pd.DataFrame) -> pd.DataFrame:
    """The table as read from a CSV file, with empty text instead of NaN in its text columns ``MAY_BE_EMPTY``."""
    return table.fillna({column: "" for column in MAY_BE_EMPTY if column in table})


def rows_of(
    table: pd.DataFrame,
    measure: str,
    part: str = "",
    quantity: str = VALUE,
    against: str | None = None,
) -> pd.DataFrame:
    """Rows of one number of a measure's table; ``against`` None takes what the number is compared with first.

    A value has one row per kind of controls. With ``against`` None, each checkpoint, condition and group keeps its
    first row.
    """
    here = (table["measure"] == measure) & (table["part"] == part) & (table["quantity"] == quantity)
    if against is None:
        return table[here].drop_duplicates([*IDENTITY, "condition", "group"])
    return table[here & (table["against"] == against)]


def beside_controls(table: pd.DataFrame, kinds: Sequence[str]) -> pd.DataFrame:
    """Values at each model's last checkpoint, one row per measure and part, beside what they are compared with.

    Args:
        table: a measure's table over models and checkpoints.
        kinds: what they are compared with; values that are compared with none of these are left out.

    Returns:
        One row per model, condition, group, measure and part: value, interval, ``n``, ``unit``, ``reason``; then for
        each kind of controls ``<kind>_mean`` (their mean), ``<kind>_p`` and ``<kind>_q`` (empirical p, adjusted).
    """
    keys = ["model", "checkpoint", "condition", "group", "measure", "part"]
    values = last_checkpoints(table)
    values = values[(values["quantity"] == VALUE) & values["against"].isin(kinds)]
    wide = values.drop_duplicates(keys)[[*keys, "value", "ci_low", "ci_high", "n", "unit", "reason"]]
    for kind in kinds:
        names = {"null_mean": f"{kind}_mean", "p_value": f"{kind}_p", "q_value": f"{kind}_q"}
        mine = values[values["against"] == kind].rename(columns=names)
        wide = wide.merge(mine[[*keys, *names.values()]], on=keys, how="left")
    return wide


def last_checkpoints(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of each model's last checkpoint."""
    return table[table["step"] == table.groupby("model")["step"].transform("max")]


Movement = Literal["trend", "change", "rise_width", "rise_centre", "rise_base", "rise_height", "rise_scatter"]


def over_training(quantity: str, movement: Movement) -> str:
    """Name in the dynamics table of how a quantity moves with training step: ``trend``, ``difference_trend``, ..."""
    return movement if quantity == VALUE else f"{quantity}_{movement}"
