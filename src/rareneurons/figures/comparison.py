"""Verdicts and values under the authors' choices, beside the run's own."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from rareneurons.figures.palette import NULL_COLOUR
from rareneurons.figures.style import label_line, legend_below, models_of, panels

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
