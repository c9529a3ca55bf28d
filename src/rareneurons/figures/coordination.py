"""Effective dimension against its controls: by training step, and by number of rows."""

from collections.abc import Sequence
from functools import partial

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from rareneurons.figures.palette import GROUP_COLOURS, NULL_COLOUR, NULL_COLOURS
from rareneurons.figures.style import label_line, legend_below, models_of, panels, step_axis
from rareneurons.tables import last_checkpoints

MEASURE = "effective_dimension"
LABEL = "effective dim. / n"
# Matched groups are what counts; random ones, in grey, what the paper compared with.
KIND_LINES = {"random": ":", "matched": "--"}


def _draw_null(axis: Axes, x: pd.Series, null: pd.DataFrame, kind: str) -> None:
    """Mean and central 95 % of control groups; across the panel where there is one place only."""
    colour = NULL_COLOURS[kind]
    if len(null) == 1:
        axis.axhspan(null["ci_low"].iloc[0], null["ci_high"].iloc[0], color=colour, alpha=0.2, linewidth=0)
        axis.axhline(
            null["value"].iloc[0], linestyle=KIND_LINES[kind], color=colour, linewidth=1, label=f"{kind} groups"
        )
        return
    axis.fill_between(x, null["ci_low"], null["ci_high"], color=colour, alpha=0.2, linewidth=0)
    axis.plot(x, null["value"], KIND_LINES[kind], color=colour, linewidth=1, label=f"{kind} groups")


def _draw_absence(axis: Axes) -> None:
    axis.text(0.5, 0.5, "no such group", transform=axis.transAxes, ha="center", color=NULL_COLOUR)
    axis.set_axis_off()


def dimension_by_step(table: pd.DataFrame, groups: Sequence[str], condition: str, alpha: float) -> Figure:
    """Effective dimension of groups and their controls by training step; a row a group, a column a model.

    Filled markers: the adjusted p against matched groups is at most ``alpha``.

    Args:
        table: the coordination table over models and checkpoints.
        groups: which groups.
        condition: which condition.
        alpha: largest adjusted p.
    """
    models = models_of(table)
    figure, axes = panels(len(groups), len(models), height=1.25)
    for group, line in zip(groups, axes, strict=True):
        for model, axis in zip(models, line, strict=True):
            mine = table[(table["model"] == model) & (table["condition"] == condition) & (table["group"] == group)]
            mine = mine[mine["value"].notna()].sort_values("step")
            for kind in KIND_LINES:
                null = mine[mine["measure"] == f"{MEASURE}.{kind}.null_mean"]
                _draw_null(axis, null["step"], null, kind)
            _draw_values(axis, mine[mine["measure"] == f"{MEASURE}.matched"], group, alpha)
            steps = table.loc[table["model"] == model, "step"].unique()
            step_axis(axis, list(steps))
            axis.set_title(f"{model}\n{group.replace('_', ' ')}")
            if mine.empty:
                _draw_absence(axis)
        label_line(line, LABEL)
    for axis in axes[:-1].flat:
        axis.set_xlabel("")
    marker = partial(Line2D, [], [], color="black", marker="o", markersize=3.5, linewidth=1)
    legend_below(
        figure,
        {f"group, adjusted p ≤ {alpha:g}": marker(), f"group, adjusted p > {alpha:g}": marker(markerfacecolor="white")},
    )
    return figure


def _draw_values(axis: Axes, value: pd.DataFrame, group: str, alpha: float) -> None:
    colour = GROUP_COLOURS[group]
    error = np.clip([value["value"] - value["ci_low"], value["ci_high"] - value["value"]], 0, None)
    axis.errorbar(
        value["step"], value["value"], yerr=np.nan_to_num(error), color=colour, capsize=1.5, elinewidth=0.7, linewidth=1
    )
    for far, fill in ((True, colour), (False, "white")):
        part = value[(value["q_value"] <= alpha) == far]
        axis.plot(part["step"], part["value"], "o", color=colour, markerfacecolor=fill, markersize=3.5, zorder=3)


def dimension_by_rows(table: pd.DataFrame, groups: Sequence[str], condition: str) -> Figure:
    """Effective dimension at each model's last checkpoint against the number of rows; a row a group, a column a model.

    Args:
        table: the coordination table over models and checkpoints.
        groups: which groups.
        condition: which condition.
    """
    models = models_of(table)
    last = last_checkpoints(table)
    last = last[last["condition"] == condition]
    parts = last["measure"].str.extract(rf"^{MEASURE}(?:\.rows_\d+)?\.(?P<kind>random|matched)(?P<null>\.null_mean)?$")
    figure, axes = panels(len(groups), len(models), height=1.25)
    for group, line in zip(groups, axes, strict=True):
        for model, axis in zip(models, line, strict=True):
            here = (last["model"] == model) & (last["group"] == group) & last["value"].notna()
            own = last[here & (parts["kind"] == "matched") & parts["null"].isna()]
            rows_of = own.assign(key=_part_of(own["measure"])).set_index("key")["n"]
            for kind in KIND_LINES:
                null = last[here & (parts["kind"] == kind) & parts["null"].notna()]
                null = null.assign(rows=_part_of(null["measure"]).map(rows_of).astype(float)).sort_values("rows")
                _draw_null(axis, null["rows"], null, kind)
            own = own.sort_values("n")
            axis.plot(own["n"], own["value"], "o-", color=GROUP_COLOURS[group], markersize=3)
            if len(own):
                axis.set_xscale("log", base=2)
                axis.set_xticks(own["n"], [str(n) for n in own["n"]])
                axis.xaxis.set_minor_locator(NullLocator())
            else:
                _draw_absence(axis)
            axis.set_title(f"{model}\n{group.replace('_', ' ')}")
            axis.set_xlabel(f"{condition} rows")
        label_line(line, LABEL)
    for axis in axes[:-1].flat:
        axis.set_xlabel("")
    legend_below(figure, {"group": Line2D([], [], color="black", marker="o", markersize=3)})
    return figure


def _part_of(measure: pd.Series) -> pd.Series:
    """Which part of the rows a measure is of: ``rows_100``, or empty for all rows."""
    return measure.str.extract(r"\.(rows_\d+)\.", expand=False).fillna("")
