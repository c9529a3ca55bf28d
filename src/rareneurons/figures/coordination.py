"""Effective dimension of groups and their controls: by training step, and by number of rows."""

from collections.abc import Sequence
from functools import partial

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from rareneurons.figures.palette import NULL_COLOUR, NULL_COLOURS, group_colour
from rareneurons.figures.style import frame_values, label_line, legend_below, models_of, panels, step_axis, words
from rareneurons.tables import VALUE, last_checkpoints, rows_of

MEASURE = "effective_dimension"
LABEL = "effective dim. / n"
# Matched groups decide. Random groups, in grey, are what the paper compared with.
KIND_LINES = {"random": ":", "matched": "--", "shuffled": (0, (4, 1, 1, 1))}


def _draw_null(axis: Axes, x: pd.Series, rows: pd.DataFrame, kind: str) -> None:
    """Mean and central 95 % of a kind of control groups; across the panel if there is one place only."""
    known = rows["null_mean"].notna()
    x, null = x[known], rows[known]
    if null.empty:
        return
    colour, label = NULL_COLOURS[kind], f"{kind} groups"
    if len(null) == 1:
        low, high, mean = null[["null_low", "null_high", "null_mean"]].iloc[0]
        axis.axhspan(low, high, color=colour, alpha=0.2, linewidth=0)
        axis.axhline(mean, linestyle=KIND_LINES[kind], color=colour, linewidth=1, label=label)
        return
    axis.fill_between(x, null["null_low"], null["null_high"], color=colour, alpha=0.2, linewidth=0)
    axis.plot(x, null["null_mean"], linestyle=KIND_LINES[kind], color=colour, linewidth=1, label=label)


def _draw_absence(axis: Axes) -> None:
    axis.text(0.5, 0.5, "no such group", transform=axis.transAxes, ha="center", color=NULL_COLOUR)
    axis.set_axis_off()


def dimension_by_step(table: pd.DataFrame, groups: Sequence[str], condition: str, alpha: float) -> Figure:
    """Effective dimension of groups and their controls by training step; one row per group, one column per model.

    Filled markers: the larger p against matched groups and groups of shuffled labels is at most ``alpha``.

    Args:
        table: the coordination table over models and checkpoints.
        groups: which groups.
        condition: which condition.
        alpha: largest p.
    """
    models = models_of(table)
    figure, axes = panels(len(groups), len(models), height=1.25)
    for group, line in zip(groups, axes, strict=True):
        for model, axis in zip(models, line, strict=True):
            mine = table[(table["model"] == model) & (table["condition"] == condition) & (table["group"] == group)]
            mine = mine[mine["value"].notna()].sort_values("step")
            for kind in KIND_LINES:
                compared = rows_of(mine, MEASURE, against=kind)
                _draw_null(axis, compared["step"], compared, kind)
            compared = pd.concat([rows_of(mine, MEASURE, against=kind) for kind in ("matched", "shuffled")])
            largest_p = compared.groupby("step")["p_value"].max()
            value = rows_of(mine, MEASURE, against="matched")
            _draw_values(axis, value.assign(p_value=value["step"].map(largest_p)), group, alpha)
            steps = table.loc[table["model"] == model, "step"].unique()
            step_axis(axis, list(steps))
            axis.set_title(f"{model}\n{words(group)}")
            if mine.empty:
                _draw_absence(axis)
        shown = table[(table["condition"] == condition) & (table["group"] == group)]
        frame_values(line[0], rows_of(shown, MEASURE, against="matched"))
        label_line(line, LABEL)
    for axis in axes[:-1].flat:
        axis.set_xlabel("")
    marker = partial(Line2D, [], [], color="black", marker="o", markersize=3.5, linewidth=1)
    legend_below(
        figure,
        {f"group, p ≤ {alpha:g}": marker(), f"group, p > {alpha:g}": marker(markerfacecolor="white")},
    )
    return figure


def _draw_values(axis: Axes, value: pd.DataFrame, group: str, alpha: float) -> None:
    colour = group_colour(group)
    error = np.clip([value["value"] - value["ci_low"], value["ci_high"] - value["value"]], 0, None)
    axis.errorbar(
        value["step"], value["value"], yerr=np.nan_to_num(error), color=colour, capsize=1.5, elinewidth=0.7, linewidth=1
    )
    for significant, fill in ((True, colour), (False, "white")):
        part = value[(value["p_value"] <= alpha) == significant]
        axis.plot(part["step"], part["value"], "o", color=colour, markerfacecolor=fill, markersize=3.5, zorder=3)


def dimension_by_rows(table: pd.DataFrame, groups: Sequence[str], condition: str) -> Figure:
    """Effective dimension at each model's last checkpoint against the number of rows.

    One row of panels per group, one column per model.

    Args:
        table: the coordination table over models and checkpoints.
        groups: which groups.
        condition: which condition.
    """
    models = models_of(table)
    last = last_checkpoints(table)
    # All rows have an empty part. The dimension of weights, which is another part, is left out.
    shown = (last["part"] == "") | last["part"].str.startswith("rows_")
    last = last[shown & (last["measure"] == MEASURE) & (last["quantity"] == VALUE) & (last["condition"] == condition)]
    figure, axes = panels(len(groups), len(models), height=1.25)
    for group, line in zip(groups, axes, strict=True):
        for model, axis in zip(models, line, strict=True):
            mine = last[(last["model"] == model) & (last["group"] == group) & last["value"].notna()].sort_values("n")
            for kind in KIND_LINES:
                compared = mine[mine["against"] == kind]
                _draw_null(axis, compared["n"].astype(float), compared, kind)
            own = mine[mine["against"] == "matched"]
            axis.plot(own["n"], own["value"], "o-", color=group_colour(group), markersize=3)
            if len(own):
                axis.set_xscale("log", base=2)
                axis.set_xticks(own["n"], [str(n) for n in own["n"]])
                axis.xaxis.set_minor_locator(NullLocator())
            else:
                _draw_absence(axis)
            axis.set_title(f"{model}\n{words(group)}")
            axis.set_xlabel(f"{condition} rows")
        label_line(line, LABEL)
    for axis in axes[:-1].flat:
        axis.set_xlabel("")
    legend_below(figure, {"group": Line2D([], [], color="black", marker="o", markersize=3)})
    return figure
