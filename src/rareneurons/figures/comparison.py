"""Verdicts and values under the authors' choices, beside the run's own."""

from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from rareneurons.figures.palette import NULL_COLOUR
from rareneurons.figures.style import legend_below, models_of, panels

OWN = "none"
# Claim -> what its value is, and what its n counts.
LABELS = {
    "C1": ("exponent, head / power law", "blocks of documents"),
    "C2": ("exponent, head / power law", "blocks of documents"),
    "C3": ("dimension less controls', share", "rows"),
    "C4": ("modularity less controls'", "rows"),
    "C7": ("Hill exponent less controls', share", "neurons"),
}
# Shapes and filling tell verdicts apart, not colour, which means rare, common or a group.
MARKERS = {"supported": ("o", "black"), "contradicted": ("s", "black"), "undecided": ("o", "white")}


def effects_of_choices(choices: pd.DataFrame) -> Figure:
    """Value, interval and verdict of each claim under each choice; a panel a claim and model, below one another.

    The verdict stands at the right, in bold where it is not the run's own, a dash where the table has none; the dotted
    line is the run's own value.

    Args:
        choices: the table ``choices``.
    """
    models, claims = models_of(choices), sorted(choices["claim"].unique())
    names = [OWN, *dict.fromkeys(choices["choice"])]
    pairs = list(product(claims, models))
    figure, axes = panels(len(pairs), 1, height=0.55 + 0.13 * len(names))
    for (claim, model), axis in zip(pairs, axes[:, 0], strict=True):
        mine = choices[(choices["claim"] == claim) & (choices["model"] == model)]
        _draw(axis, mine, names)
        label, counted = LABELS[claim]
        axis.set_title(f"{claim}, {model}, {mine['proper_n'].iloc[0]:.0f} {counted}")
        axis.set_xlabel(label)
        axis.set_yticks(range(len(names)), names)
        axis.set_ylabel("choice")
    handles = {
        verdict: Line2D([], [], color="black", marker=marker, markerfacecolor=fill, linestyle="", markersize=4)
        for verdict, (marker, fill) in MARKERS.items()
    }
    legend_below(figure, handles, columns=3)
    return figure


def _draw(axis: Axes, rows: pd.DataFrame, names: list[str]) -> None:
    own: dict[Any, Any] = {name: rows[f"proper_{name}"].iloc[0] for name in ("value", "ci_low", "ci_high", "verdict")}
    drawn = [own | {"choice": OWN, "changed": False}, *rows.to_dict("records")]
    verdicts = {}
    for row in drawn:
        place = names.index(row["choice"])
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
        verdicts[place] = row["verdict"], row["changed"]
    axis.axvline(own["value"], color=NULL_COLOUR, linestyle=":", linewidth=0.8, zorder=0)
    axis.set_ylim(len(names) - 0.5, -0.5)
    beside = axis.twinx()
    beside.set_ylim(axis.get_ylim())
    beside.set_yticks(range(len(names)), [verdicts.get(place, ("–", False))[0] for place in range(len(names))])
    beside.tick_params(length=0)
    for place, label in enumerate(beside.get_yticklabels()):
        label.set_color("black" if place in verdicts else NULL_COLOUR)
        label.set_fontweight("bold" if verdicts.get(place, ("", False))[1] else "normal")
