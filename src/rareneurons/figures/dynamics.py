"""Figures of training: course of the main measures, history of the final top neurons, turnover of the top."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, ScalarFormatter

from rareneurons.dynamics.rise import rise_at
from rareneurons.dynamics.top import KEPT, KEPT_ON_SAME_CHECKPOINT
from rareneurons.figures.palette import NULL_COLOUR, NULL_COLOURS, colour_of, group_colour
from rareneurons.figures.style import (
    SMALLEST_TEXT,
    draw_heat_map,
    label_line,
    legend_below,
    models_of,
    panels,
    step_axis,
    words,
)
from rareneurons.joint.measures import DELTA_LOSS, MATCHED_ROWS
from rareneurons.regimes.estimates import AUTO, SHARE, top_part
from rareneurons.tables import EXCESS, FINAL_PREFIX, VALUE, Movement, over_training, rows_of

RANK_COLOURS = "viridis_r"
# The top neurons by the fixed cut, as many at all checkpoints: chosen at each checkpoint, and the last one's.
TRACKED = ["top_33", f"{FINAL_PREFIX}top_33"]


@dataclass(frozen=True)
class CoursePanels:
    """A row of panels: one number of ``boost`` by condition, or of several groups on one condition's rows.

    ``number``: measure, part, quantity and what it is compared with; ``logarithmic``: the vertical axis; ``dynamics``:
    the dynamics table, if the rise fitted to the number is to be drawn.
    """

    table: pd.DataFrame
    number: Sequence[str]
    label: str
    conditions: Sequence[str]
    groups: Sequence[str]
    logarithmic: bool = False
    dynamics: pd.DataFrame | None = None


def course_of_main_measures(
    joint: pd.DataFrame,
    dynamics: pd.DataFrame,
    regimes: pd.DataFrame,
    coordination: pd.DataFrame,
    spectra: pd.DataFrame,
    conditions: Sequence[str],
) -> Figure:
    """Selectivity with its rise, shape of the curve, and dimension and tail exponents of the top neurons.

    Args:
        joint: tables of joint ablation over models and checkpoints.
        dynamics: the dynamics table, which has the fitted rises.
        regimes: regime tables of the same checkpoints.
        coordination: coordination tables of the same checkpoints.
        spectra: spectra tables of the same checkpoints.
        conditions: rare and common.
    """
    curve = {
        ("power_law_exponent", AUTO): "exponent",
        ("plateau_end", AUTO): "plateau end\n(ln rank)",
        SHARE: "top neurons'\nshare of influence",
    }
    dimension = ("effective_dimension", "", VALUE, "matched")
    tails = {part: ("hill", part, VALUE, "matched") for part in ("w_out", "w_in")}
    first = conditions[:1]
    selectivity = (DELTA_LOSS, MATCHED_ROWS, EXCESS, "matched")
    of_joint = joint, selectivity, "selectivity less\nmatched (nats)", ["-".join(conditions)], TRACKED[:1]
    return course_of_training(
        [CoursePanels(*of_joint, dynamics=dynamics)]
        + [CoursePanels(regimes, number, label, conditions, ["boost"]) for number, label in curve.items()]
        + [CoursePanels(coordination, dimension, "effective\ndimension / n", first, TRACKED)]
        + [
            CoursePanels(spectra, number, f"Hill exponent,\n{part.capitalize()}", first, TRACKED, True)
            for part, number in tails.items()
        ]
    )


def course_of_training(courses: Sequence[CoursePanels]) -> Figure:
    """Measures by training step with 95 % bands, one row per measure and one column per model.

    Groups that are tracked backwards from the last checkpoint are dashed. A fitted rise is a thin black line, with its
    middle half shaded and its width written in the panel. Where a measure has controls, their mean is
    dotted; the central 95 % of those of the first group are grey.
    """
    models = models_of(courses[0].table)
    figure, axes = panels(len(courses), len(models), height=1.05)
    for course, line in zip(courses, axes, strict=True):
        shown = rows_of(course.table, *course.number)
        for model, axis in zip(models, line, strict=True):
            mine = course.table[(course.table["model"] == model) & course.table["group"].isin(course.groups)]
            if shown[shown["model"] == model].empty:  # a gated MLP has other weights than w_in
                axis.text(0.5, 0.5, "not measured", ha="center", va="center", transform=axis.transAxes)
            for condition in course.conditions:
                for group in course.groups:
                    part = shown[(shown["model"] == model) & (shown["condition"] == condition)]
                    _draw_course(axis, part[part["group"] == group], condition, group, group == course.groups[0])
                    if course.dynamics is not None:
                        _draw_rise(axis, course.dynamics, course.number, (model, condition, group))
            if len(mine):
                step_axis(axis, sorted(mine["step"].unique()))
            axis.set_xlabel("")
        label_line(line, course.label)
        if course.logarithmic:
            line[0].set_yscale("log")
            line[0].yaxis.set_major_formatter(ScalarFormatter())
            line[0].yaxis.set_minor_formatter(NullFormatter())
    for model, top, bottom in zip(models, axes[0], axes[-1], strict=True):
        top.set_title(model)
        bottom.set_xlabel("training step")
    legend_below(figure)
    return figure


def _draw_course(axis: Axes, table: pd.DataFrame, condition: str, group: str, with_controls: bool) -> None:
    value = table.sort_values("step")
    if value.empty:
        return
    tracked = group.startswith(FINAL_PREFIX)
    by_group = group != "boost"
    colour = group_colour(group.removeprefix(FINAL_PREFIX)) if by_group else colour_of(condition)
    label = words(group.removeprefix(FINAL_PREFIX)) if by_group else f"{condition} rows"
    label += ", final neurons" if tracked else ""
    line = "--" if tracked else "-"
    axis.fill_between(value["step"], value["ci_low"], value["ci_high"], color=colour, alpha=0.2, linewidth=0)
    if len(value) == 1:  # a band has no width there
        axis.vlines(value["step"], value["ci_low"], value["ci_high"], color=colour, linewidth=0.7)
    axis.plot(value["step"], value["value"], line, color=colour, marker="o", markersize=2, label=label)
    null = value[value["null_mean"].notna()]
    if len(null) and with_controls:
        axis.fill_between(null["step"], null["null_low"], null["null_high"], color=NULL_COLOUR, alpha=0.25, linewidth=0)
        axis.plot(
            null["step"], null["null_mean"], ":", color=NULL_COLOURS["matched"], linewidth=0.9, label="matched groups"
        )


def _draw_rise(axis: Axes, dynamics: pd.DataFrame, number: Sequence[str], whose: tuple[str, str, str]) -> None:
    """The rise fitted to a number of one model, condition and group; nothing where there is none."""
    measure, part, quantity, against = number
    mine = dynamics[(dynamics[["model", "condition", "group"]] == whose).all(axis=1)]
    rows = {name: rows_of(mine, measure, part, over_training(quantity, name), against) for name in get_args(Movement)}
    if rows["rise_width"].empty:
        return
    found = {name: row.iloc[0] for name, row in rows.items() if len(row)}
    width, centre = found["rise_width"], np.log1p(found["rise_centre"]["value"])
    steps = np.expm1(np.linspace(0, np.log1p(width["step"]), 200))
    height = found["rise_base"]["value"], found["rise_height"]["value"]
    curve = rise_at(steps, *height, centre, width["value"])
    axis.plot(steps, curve, color="black", linewidth=0.8, label="fitted rise")
    quarters = np.expm1(np.clip(centre + width["value"] * np.array([-0.5, 0.5]), 0, np.log1p(width["step"])))
    axis.axvspan(*quarters, color=NULL_COLOUR, alpha=0.3, linewidth=0, label="middle half of the fitted rise")
    text = f"width {width['value']:.2g}\n({width['ci_low']:.2g} to {width['ci_high']:.2g})"
    axis.text(0.03, 0.95, text, transform=axis.transAxes, va="top", fontsize=SMALLEST_TEXT)


def final_top_and_turnover(final: pd.DataFrame, dynamics: pd.DataFrame, conditions: Sequence[str], top: int) -> Figure:
    """Rank of the final top neurons at every checkpoint and when each entered for good; below, turnover of the top.

    Args:
        final: as ``dynamics.top.final_top`` returns it; the larger group of a model is drawn.
        dynamics: dynamics table; the turnover of ``top`` is drawn.
        conditions: whose turnover.
        top: size of the tops.
    """
    models = models_of(final)
    figure, axes = panels(2, len(models), height=1.7, shared=False)
    for number, model in enumerate(models):
        mine = final[final["model"] == model]
        mine = mine[mine["group"] == mine.groupby("group")["final_rank"].max().idxmax()]
        _draw_ranks(axes[0][number], mine, model)
        _draw_entries(axes[1][number], mine)
        turnover = dynamics[dynamics["model"] == model]
        for condition in conditions:
            _draw_turnover(axes[1][number], turnover[turnover["condition"] == condition], condition, top)
        step_axis(axes[1][number], sorted(mine["step"].unique()))
        axes[1][number].set_ylim(0, 1.02)
    bar = ScalarMappable(Normalize(0, 1), RANK_COLOURS)
    figure.colorbar(bar, ax=list(axes[0]), label="rank fraction (0 = top)", location="top", aspect=40)
    label_line(axes[0], "neuron,\nby final rank")
    label_line(axes[1], f"share of top {top},\nor of the final top set")
    legend_below(figure, columns=1)
    return figure


def _draw_ranks(axis: Axes, final: pd.DataFrame, model: str) -> None:
    grid = final.pivot_table(index="final_rank", columns="step", values="rank_fraction")
    draw_heat_map(axis, grid, vmin=0, vmax=1, cmap=RANK_COLOURS, cbar=False, yticklabels=False)
    entered = final.drop_duplicates("final_rank").set_index("final_rank")["entered"].reindex(grid.index)
    column = grid.columns.get_indexer(pd.Index(entered.fillna(-1)))
    row = np.arange(len(grid))
    axis.plot(column[column >= 0] + 0.5, row[column >= 0] + 0.5, "o", color="black", markersize=2)
    axis.set_title(f"{model}\n{words(final['group'].iloc[0])}, n = {len(grid)}")
    axis.set_ylabel("")
    axis.set_xlabel("training step")


def _draw_entries(axis: Axes, final: pd.DataFrame) -> None:
    """Share of the final top neurons that are in the top for good from each step on."""
    entered = final.drop_duplicates("neuron")["entered"].to_numpy()
    steps = np.sort(final["step"].unique())
    share = (entered[None] <= steps[:, None]).mean(1)
    axis.plot(steps, share, "s--", color="black", markersize=2.5, label="final top neurons: entered for good by then")


def _draw_turnover(axis: Axes, dynamics: pd.DataFrame, condition: str, top: int) -> None:
    shown = {
        KEPT: ("o-", f"{condition}, kept from the checkpoint before"),
        KEPT_ON_SAME_CHECKPOINT: (":", f"{condition}, other documents"),
    }
    for measure, (line, label) in shown.items():
        part = rows_of(dynamics, measure, top_part(top)).sort_values("step")
        axis.plot(
            part["step"], np.asarray(part["value"]), line, color=colour_of(condition), label=label, markersize=2.5
        )
