"""The columns that mean the same thing everywhere, and the frames built from them."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

PLATEAU_TEST = "mean_abs.test.plateau"  # the measure that is 1 where a plateau is declared, else 0
FINAL_PREFIX = "final_"  # names groups of a model's last checkpoint where they are followed back to earlier ones
IDENTITY = ["model", "checkpoint", "step"]
MEASURE_COLUMNS = [
    *IDENTITY,
    "condition",
    "group",
    "measure",
    "value",
    "ci_low",
    "ci_high",
    "p_value",
    "n",
    "unit",
]
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
    "bound",
    "verdict",
    "reason",
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
    """One measured value: interval, p-value and n belong to it; NaN stands for "not computed".

    ``reason``: why there is no value, or no p; empty where both are.
    """

    measure: str
    value: float
    unit: str
    n: int
    ci_low: float = float("nan")
    ci_high: float = float("nan")
    p_value: float = float("nan")
    reason: str = ""


def measure_frame(checkpoint: CheckpointName, estimates: Iterable[tuple[str, str, Estimate]]) -> pd.DataFrame:
    """Long table of (condition, group, estimate) triples with the columns ``MEASURE_COLUMNS``."""
    records = [
        {
            **checkpoint.columns(),
            "condition": condition,
            "group": group,
            "measure": estimate.measure,
            "value": estimate.value,
            "ci_low": estimate.ci_low,
            "ci_high": estimate.ci_high,
            "p_value": estimate.p_value,
            "n": estimate.n,
            "unit": estimate.unit,
        }
        for condition, group, estimate in estimates
    ]
    return pd.DataFrame(records, columns=MEASURE_COLUMNS)


def draws_frame(draws: Iterable[tuple[str, str, str, np.ndarray]]) -> pd.DataFrame:
    """Table ``condition, group, measure, draws`` of bootstrap draws (B,); measures without draws are left out."""
    columns = ["condition", "group", "measure", "draws"]
    rows = [(*key, np.asarray(values, dtype=np.float64)) for *key, values in draws if len(values)]
    return pd.DataFrame(rows, columns=columns)


def beside_controls(table: pd.DataFrame, names: str) -> pd.DataFrame:
    """Measures at each model's last checkpoint, one a row, beside both kinds of controls.

    Args:
        table: a measure's table over models and checkpoints, with ``q_value`` and ``reason``.
        names: regular expression of the measures' names without the kind of controls; others are left out.

    Returns:
        One row a model, condition, group and measure: value and interval, and for either kind of controls their mean,
        the empirical p and its adjusted value.
    """
    table = last_checkpoints(table)
    keys = ["model", "checkpoint", "condition", "group", "measure"]
    parts = table["measure"].str.extract(rf"^(?P<name>{names})\.(?P<kind>random|matched)(?P<null>\.null_mean)?$")
    table = table.assign(measure=parts["name"], kind=parts["kind"])
    values, nulls = table[parts["null"].isna() & parts["name"].notna()], table[parts["null"].notna()]
    wide = values.drop_duplicates(keys)[[*keys, "value", "ci_low", "ci_high", "n", "unit", "reason"]]
    for kind in ("random", "matched"):
        mean = nulls[nulls["kind"] == kind][[*keys, "value"]].rename(columns={"value": f"{kind}_mean"})
        tests = values[values["kind"] == kind][[*keys, "p_value", "q_value"]]
        tests = tests.rename(columns={"p_value": f"{kind}_p", "q_value": f"{kind}_q"})
        wide = wide.merge(mean, on=keys, how="left").merge(tests, on=keys, how="left")
    return wide


def last_checkpoints(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of each model's last checkpoint."""
    return table[table["step"] == table.groupby("model")["step"].transform("max")]
