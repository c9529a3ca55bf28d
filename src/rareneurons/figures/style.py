"""One style for all figures: colour-blind safe colours, panels, axes of training steps, files."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rareneurons.figures.palette import CONDITION_COLOURS, group_colour
from rareneurons.regimes.curve import Sign

COLUMN_WIDTH = 3.35  # inches, 85 mm
SIGN_MARKERS: Mapping[Sign, str] = {"boost": "-", "suppress": "--"}
STYLE = {
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "legend.fontsize": 7,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 3,
    "ytick.major.size": 3,
    "xtick.minor.width": 0.4,
    "ytick.minor.width": 0.4,
    "xtick.minor.size": 1.5,
    "ytick.minor.size": 1.5,
    "axes.labelpad": 2,
    "lines.linewidth": 1.2,
    "legend.frameon": False,
    "figure.constrained_layout.use": True,
    "figure.dpi": 200,
    "savefig.dpi": 300,
    "pdf.fonttype": 42,
    "svg.hashsalt": "rareneurons",
}


def apply_style() -> None:
    """Set the project's style for the figures drawn from here on."""
    mpl.use("Agg")
    sns.set_theme(style="ticks", rc=STYLE)


def panels(rows: int, columns: int, height: float = 2.2) -> tuple[Figure, np.ndarray]:
    """A figure of ``rows`` x ``columns`` axes, at least a column wide; ``height`` inches a row."""
    width = max(COLUMN_WIDTH, 2.9 * columns)
    return plt.subplots(rows, columns, figsize=(width, height * rows), squeeze=False, sharey="row")


def step_axis(axis: Axes, steps: Sequence[int]) -> None:
    """Training steps on a symmetric-log axis, so that step 0 has a place; labels at a few of them.

    A model without steps (-1) has one place, labelled ``main``.
    """
    if max(steps) < 0:
        axis.set_xticks([-1], ["main"])
        axis.set_xlabel("checkpoint")
        return
    axis.set_xscale("symlog", linthresh=1, linscale=0.5)
    shown = [s for s in (0, 1, 4, 16, 64, 256, 1024, 4096, 16384, 143000) if min(steps) <= s <= max(steps)]
    axis.set_xticks(shown, [str(s) for s in shown])
    axis.minorticks_off()
    axis.set_xlabel("training step")


def models_of(table: pd.DataFrame) -> list[str]:
    """The models of a table, in its order."""
    return [str(model) for model in dict.fromkeys(table["model"])]


def draw_group(axis: Axes, table: pd.DataFrame, measure: str, group: str) -> None:
    """A measure against training step with its intervals, and the range of its controls where the table has it."""
    value = table[table["measure"] == measure].sort_values("step")
    if value.empty:
        return
    colour = CONDITION_COLOURS.get(group, group_colour(group))
    error = np.vstack([value["value"] - value["ci_low"], value["ci_high"] - value["value"]])
    axis.errorbar(
        value["step"],
        value["value"],
        yerr=np.clip(np.nan_to_num(error), 0, None),
        color=colour,
        marker="o",
        markersize=2.5,
        capsize=1.5,
        elinewidth=0.7,
        label=group.replace("_", " "),
    )
    null = table[table["measure"] == f"{measure}.null_mean"].sort_values("step")
    kind = "matched" if measure.endswith(".matched") else "random"
    if len(null):
        axis.fill_between(null["step"], null["ci_low"], null["ci_high"], color=colour, alpha=0.15, linewidth=0)
        axis.plot(
            null["step"],
            null["value"],
            color=colour,
            linestyle=":",
            linewidth=0.9,
            label=f"{kind}, size of {group.replace('_', ' ')}",
        )


def save(figure: Figure, file: Any, suffix: str) -> None:
    """Write a figure as ``pdf`` or ``png`` without a creation date, so that equal figures are equal files."""
    metadata = {"CreationDate": None} if suffix == "pdf" else {"Software": None}
    figure.savefig(file, format=suffix, metadata=metadata)
