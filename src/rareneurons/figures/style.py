"""One style for all figures: colour-blind safe colours, panels, axes of training steps, files."""

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rareneurons.extras import needs_extra
from rareneurons.figures.palette import CONDITION_COLOURS, group_colour
from rareneurons.regimes.curve import Sign

COLUMN_WIDTH = 3.35  # inches, 85 mm: every figure is a column wide
PANELS_PER_LINE = 2
SMALLEST_TEXT = 6  # points
SIGN_MARKERS: Mapping[Sign, Literal["-", "--"]] = {"boost": "-", "suppress": "--"}
DARK = ".15"  # grey, of text and axes
STYLE: dict[str, Any] = {
    "font.sans-serif": ["Arial", "DejaVu Sans", "Liberation Sans", "Bitstream Vera Sans", "sans-serif"],
    "font.size": 6.5,
    "text.color": DARK,
    "axes.labelcolor": DARK,
    "axes.edgecolor": DARK,
    "xtick.color": DARK,
    "ytick.color": DARK,
    "axes.axisbelow": True,
    "grid.color": ".8",
    "lines.solid_capstyle": "round",
    "patch.edgecolor": "w",
    "patch.force_edgecolor": True,
    "axes.titlesize": 6.5,
    "axes.labelsize": 6.5,
    "legend.fontsize": SMALLEST_TEXT,
    "xtick.labelsize": SMALLEST_TEXT,
    "ytick.labelsize": SMALLEST_TEXT,
    "axes.titlepad": 3,
    "xtick.major.pad": 2,
    "ytick.major.pad": 2,
    "legend.handlelength": 1.6,
    "legend.columnspacing": 1,
    "legend.labelspacing": 0.3,
    "figure.constrained_layout.h_pad": 0.03,
    "figure.constrained_layout.w_pad": 0.02,
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
    "lines.linewidth": 0.9,
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
    plt.style.use(STYLE)


def panels(rows: int, columns: int, height: float = 1.4, shared: bool = True) -> tuple[Figure, np.ndarray]:
    """A figure of one column's width with ``rows`` x ``columns`` axes; ``height`` inches per row.

    No more than ``PANELS_PER_LINE`` axes are side by side; further columns go below, as a block of all rows. The axes
    of a row share their vertical scale if ``shared``.
    """
    wide = min(columns, PANELS_PER_LINE)
    blocks = math.ceil(columns / wide)
    figure = plt.figure(figsize=(COLUMN_WIDTH, height * rows * blocks))
    grid = figure.add_gridspec(rows * blocks, wide)
    axes = np.empty((rows, columns), dtype=object)
    for row in range(rows):
        for column in range(columns):
            block, place = divmod(column, wide)
            axis = figure.add_subplot(
                grid[block * rows + row, place], sharey=axes[row, 0] if column and shared else None
            )
            axis.tick_params(labelleft=place == 0 or not shared)
            axes[row, column] = axis
    return figure, axes


def label_line(axes: Sequence[Axes], text: str) -> None:
    """Label the vertical scale of a row of :func:`panels` wherever it begins a line."""
    for axis in axes[::PANELS_PER_LINE]:
        axis.set_ylabel(text)


def legend_below(figure: Figure, handles: Mapping[str, Artist] = MappingProxyType({}), columns: int = 2) -> None:
    """What all axes label, each once, below them; ``handles`` (text -> artist) come first and replace their likes."""
    labelled = dict(handles)
    for axis in figure.axes:
        for handle, text in zip(*axis.get_legend_handles_labels(), strict=True):
            labelled.setdefault(text, handle)
    figure.legend(labelled.values(), labelled.keys(), loc="outside lower center", ncols=columns)


def step_axis(axis: Axes, steps: Sequence[int]) -> None:
    """Training steps on a symmetric-log axis, so that step 0 has a place; labels at powers of ten (1k is 1,000).

    A model without steps (-1) has one place, labelled ``main``.
    """
    if max(steps) < 0:
        axis.set_xticks([-1], ["main"])
        axis.set_xlabel("checkpoint")
        return
    axis.set_xscale("symlog", linthresh=1, linscale=0.5)
    shown = [s for s in (0, *(10**k for k in range(7))) if min(steps) <= s <= max(steps)]
    axis.set_xticks(shown, [str(s) if s < 1000 else f"{s // 1000}k" for s in shown])
    axis.minorticks_off()
    axis.set_xlabel("training step")


def models_of(table: pd.DataFrame) -> list[str]:
    """The models of a table, in its order."""
    return [str(model) for model in dict.fromkeys(table["model"])]


def draw_group(axis: Axes, table: pd.DataFrame, group: str) -> None:
    """One number of a group by training step with its intervals, and the range of its controls where it has any.

    Args:
        axis: where to draw.
        table: rows of one number and group over checkpoints, as ``tables.rows_of`` selects them.
        group: name of the group or condition, for colour and legend.
    """
    value = table.sort_values("step")
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
        label=words(group),
    )
    null = value[value["null_mean"].notna()]
    if len(null):
        axis.fill_between(null["step"], null["null_low"], null["null_high"], color=colour, alpha=0.15, linewidth=0)
        axis.plot(
            null["step"],
            null["null_mean"],
            color=colour,
            linestyle=":",
            linewidth=0.9,
            label=f"{null['against'].iloc[0]}, size of {words(group)}",
        )


def frame_values(axis: Axes, table: pd.DataFrame) -> None:
    """Let the vertical scale show values and the means of their controls; the widest intervals end at the frame.

    A few groups, mostly of untrained models, have intervals so wide that nothing else could be seen beside them.

    Args:
        axis: where the rows are drawn; its scale, linear or logarithmic, is that of all axes that share it.
        table: rows with ``value`` and ``null_mean``.
    """
    known = table[["value", "null_mean"]].to_numpy(dtype=float).ravel()
    of = axis.yaxis.get_transform()
    with np.errstate(invalid="ignore", divide="ignore"):
        known = of.transform(known)
        drawn = of.transform(np.array(axis.get_ylim()))
    known = known[np.isfinite(known)]
    if len(known) and (spare := np.ptp(known)) > 0:
        limits = max(drawn[0], known.min() - spare), min(drawn[1], known.max() + spare)
        axis.set_ylim(*of.inverted().transform(np.array(limits)))


def draw_heat_map(axis: Axes, grid: pd.DataFrame, **settings: Any) -> None:
    """A table as seaborn's heat map; ``settings`` are those of ``seaborn.heatmap``."""
    with needs_extra("report"):
        import seaborn as sns  # here, because loading it takes as long as drawing a figure

    sns.heatmap(grid, ax=axis, **settings)


def words(name: str) -> str:
    """A group's or condition's name as a figure shows it: with spaces."""
    return name.replace("_", " ")


def save(figure: Figure, file: Any, suffix: str) -> None:
    """Write a figure as ``pdf`` or ``png`` without a creation date, so that equal figures are equal files."""
    metadata = {"CreationDate": None} if suffix == "pdf" else {"Software": None}
    figure.savefig(file, format=suffix, metadata=metadata)
