"""Verdicts and values under other choices, beside the run's own."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import MaxNLocator

from rareneurons.figures.palette import NULL_COLOUR, VERDICT_COLOURS
from rareneurons.figures.style import COLUMN_WIDTH, SMALLEST_TEXT, label_line, legend_below, models_of, panels

OWN = "none"
LABELS = {
    "C1": "ratio of exponents",
    "C2": "ratio of exponents",
    "C3": "relative dimension",
    "C4": "excess separation",
    "C7": "relative Hill exponent",
}
# Shape and filling show the verdict. Colour does not: it means rare, common or a group.
MARKERS = {"supported": ("o", "black"), "contradicted": ("s", "black"), "undecided": ("o", "white")}
CHANGED = "#e0e0e0"


def effects_of_choices(choices: pd.DataFrame) -> Figure:
    """Value, interval and verdict of each claim under each choice; one row per claim, one column per model.

    Rows whose verdict is not the run's own are shaded; the dotted line is the run's own value.

    Args:
        choices: the table ``choices``.
    """
    models, claims = models_of(choices), sorted(choices["claim"].unique())
    names = [OWN, *dict.fromkeys(choices["choice"])]
    figure, axes = panels(len(claims), len(models), height=0.5 + 0.14 * len(names))
    for claim, line in zip(claims, axes, strict=True):
        for model, axis in zip(models, line, strict=True):
            _draw(axis, choices[(choices["claim"] == claim) & (choices["model"] == model)], names)
            axis.set_title(model)
            axis.set_xlabel(LABELS[claim])
        line[0].set_yticks(range(len(names)), names)
        label_line(line, f"{claim}, choice")
    handles: dict[str, Any] = {
        verdict: Line2D([], [], color="black", marker=marker, markerfacecolor=fill, linestyle="", markersize=4)
        for verdict, (marker, fill) in MARKERS.items()
    }
    legend_below(figure, handles | {"another verdict": Patch(color=CHANGED)})
    return figure


def _draw(axis: Axes, rows: pd.DataFrame, names: list[str]) -> None:
    own: dict[Any, Any] = {name: rows[f"proper_{name}"].iloc[0] for name in ("value", "ci_low", "ci_high", "verdict")}
    for row in [own | {"choice": OWN, "changed": False}, *rows.to_dict("records")]:
        place = names.index(row["choice"])
        if row["changed"]:
            axis.axhspan(place - 0.5, place + 0.5, color=CHANGED, linewidth=0, zorder=0)
        marker, fill = MARKERS[row["verdict"]]
        error = np.clip([[row["value"] - row["ci_low"]], [row["ci_high"] - row["value"]]], 0, None)
        axis.errorbar(
            row["value"],
            place,
            xerr=np.nan_to_num(error),
            color="black",
            marker=marker,
            markerfacecolor=fill,
            markersize=4,
            capsize=1.5,
            elinewidth=0.7,
        )
    axis.axvline(own["value"], color=NULL_COLOUR, linestyle=":", linewidth=0.8, zorder=0)
    axis.set_ylim(len(names) - 0.5, -0.5)
    axis.xaxis.set_major_locator(MaxNLocator(3))


# In the matrix of choices a cell also has a sign, the one that the report's verdicts have.
SIGNS = {"supported": "+", "contradicted": "×", "undecided": "?"}
CELL = 0.3  # inches, the height of a cell


def firmness(table: pd.DataFrame) -> Figure:
    """Verdict and value of each claim under each choice that ought not to matter: claims by choices, a panel per model.

    A cell with a thick frame has another verdict than the run's own choices, which are in the first column.

    Args:
        table: the table ``firmness``.
    """
    models, claims, choices = (list(dict.fromkeys(table[name])) for name in ("model", "claim", "choice"))
    height = CELL * len(models) * (len(claims) + 0.7) + 1.2
    figure = Figure(figsize=(COLUMN_WIDTH, height), layout="constrained")
    axes = figure.subplots(len(models), 1, sharex=True, squeeze=False)[:, 0]
    for model, axis in zip(models, axes, strict=True):
        for row in table[table["model"] == model].to_dict("records"):
            _draw_cell(axis, row, choices.index(row["choice"]), claims.index(row["claim"]))
        axis.set_title(model)
        axis.set_yticks(range(len(claims)), claims)
        axis.set_xlim(-0.5, len(choices) - 0.5)
        axis.set_ylim(len(claims) - 0.5, -0.5)
        axis.tick_params(length=0)
        axis.spines[:].set_visible(False)
    axes[-1].set_xticks(range(len(choices)), choices, rotation=40, ha="right", rotation_mode="anchor")
    handles = {
        f"{SIGNS[verdict]} {verdict}": Patch(facecolor=colour, edgecolor=NULL_COLOUR, linewidth=0.4)
        for verdict, colour in VERDICT_COLOURS.items()
    }
    other = {"another verdict": Patch(facecolor="white", edgecolor="black", linewidth=1.2)}
    nothing = {"· not computed": Patch(facecolor="white", edgecolor=NULL_COLOUR, linewidth=0.4)}
    legend_below(figure, handles | nothing | other, columns=3)
    return figure


def _draw_cell(axis: Axes, row: dict[Any, Any], column: int, line: int) -> None:
    colour = VERDICT_COLOURS.get(row["verdict"], "white")
    frame: dict[str, Any] = {"edgecolor": "black", "linewidth": 1.2, "zorder": 3}
    if not row["changed"]:
        frame = {"edgecolor": NULL_COLOUR, "linewidth": 0.4, "zorder": 2}
    axis.add_patch(Rectangle((column - 0.45, line - 0.45), 0.9, 0.9, facecolor=colour, **frame))
    sign = SIGNS.get(row["verdict"], "·")
    text = f"{sign}\n{_short(row['value'])}" if np.isfinite(row["value"]) else sign
    axis.text(column, line, text, ha="center", va="center", fontsize=SMALLEST_TEXT, linespacing=1.0, zorder=4)


def _short(value: float) -> str:
    """A number that fits a cell: at most seven characters."""
    return f"{value:.2g}" if abs(value) >= 0.001 or value == 0 else f"{value:.0e}"
