"""Figures of training: the course of the main measures, where the final head came from, how fast the top turns over."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, ScalarFormatter

from rareneurons.figures.palette import NULL_COLOUR, NULL_COLOURS, colour_of, group_colour
from rareneurons.figures.style import label_line, legend_below, models_of, panels, step_axis
from rareneurons.tables import FINAL_PREFIX

RANK_COLOURS = "viridis_r"
# The top neurons by the fixed cut, as many at all checkpoints: chosen at each checkpoint, and the last one's.
TOP_GROUPS = ["fixed_plateau", f"{FINAL_PREFIX}fixed_plateau"]


@dataclass(frozen=True)
class Course:
    """A row of panels: a measure of ``boost`` by condition, or of several groups on one condition's rows.

    ``logarithmic``: the axis.
    """

    table: pd.DataFrame
    measure: str
    label: str
    conditions: Sequence[str]
    groups: Sequence[str]
    logarithmic: bool = False


def course_of_main_measures(
    regimes: pd.DataFrame, coordination: pd.DataFrame, spectra: pd.DataFrame, conditions: Sequence[str]
) -> Figure:
    """Shape of the curve for both conditions, then dimension and tail exponents of the top neurons for the first.

    Args:
        regimes: regime tables over models and checkpoints.
        coordination: coordination tables of the same checkpoints.
        spectra: spectra tables of the same checkpoints.
        conditions: rare and common.
    """
    curve = {
        "mean_abs.auto.power_law_exponent": "exponent",
        "mean_abs.auto.plateau_end": "plateau end\n(ln rank)",
        "mean_abs.head.influence_share": "head's share\nof influence",
    }
    dimension = {"effective_dimension.matched": "effective\ndimension / n"}
    tails = {"hill.w_out.matched": "Hill exponent,\nW_out", "hill.w_in.matched": "Hill exponent,\nW_in"}
    first = conditions[:1]
    return course_of_training(
        [Course(regimes, measure, label, conditions, ["boost"]) for measure, label in curve.items()]
        + [Course(coordination, measure, label, first, TOP_GROUPS) for measure, label in dimension.items()]
        + [Course(spectra, measure, label, first, TOP_GROUPS, True) for measure, label in tails.items()]
    )


def course_of_training(courses: Sequence[Course]) -> Figure:
    """Measures against training step with 95 % bands, a row a measure, a column a model.

    Groups that are followed back from the last checkpoint are dashed; where a measure has controls, their mean is
    dotted and the central 95 % of those of the first group grey.
    """
    models = models_of(courses[0].table)
    figure, axes = panels(len(courses), len(models), height=1.05)
    for course, line in zip(courses, axes, strict=True):
        for model, axis in zip(models, line, strict=True):
            mine = course.table[(course.table["model"] == model) & course.table["group"].isin(course.groups)]
            for condition in course.conditions:
                for group in course.groups:
                    part = mine[(mine["condition"] == condition) & (mine["group"] == group)]
                    _draw_course(axis, part, course.measure, condition, group, group == course.groups[0])
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


def _draw_course(
    axis: Axes, table: pd.DataFrame, measure: str, condition: str, group: str, with_controls: bool
) -> None:
    value = table[table["measure"] == measure].sort_values("step")
    if value.empty:
        return
    followed = group.startswith(FINAL_PREFIX)
    by_group = group != "boost"
    colour = group_colour(group.removeprefix(FINAL_PREFIX)) if by_group else colour_of(condition)
    label = group.removeprefix(FINAL_PREFIX).replace("_", " ") if by_group else f"{condition} rows"
    label += ", final neurons" if followed else ""
    line = "--" if followed else "-"
    axis.fill_between(value["step"], value["ci_low"], value["ci_high"], color=colour, alpha=0.2, linewidth=0)
    if len(value) == 1:  # a band has no width there
        axis.vlines(value["step"], value["ci_low"], value["ci_high"], color=colour, linewidth=0.7)
    axis.plot(value["step"], value["value"], line, color=colour, marker="o", markersize=2, label=label)
    null = table[table["measure"] == f"{measure}.null_mean"].sort_values("step")
    if len(null) and with_controls:
        axis.fill_between(null["step"], null["ci_low"], null["ci_high"], color=NULL_COLOUR, alpha=0.25, linewidth=0)
        axis.plot(
            null["step"], null["value"], ":", color=NULL_COLOURS["matched"], linewidth=0.9, label="matched groups"
        )


def final_head_and_turnover(head: pd.DataFrame, dynamics: pd.DataFrame, conditions: Sequence[str], top: int) -> Figure:
    """Rank of the final head's neurons at every checkpoint and when they came to stay; below, how the top turns over.

    Args:
        head: as ``dynamics.head.final_head`` returns it; the larger group of a model is drawn.
        dynamics: dynamics table; the turnover of ``top`` is drawn.
        conditions: whose turnover.
        top: size of the tops.
    """
    models = models_of(head)
    figure, axes = panels(2, len(models), height=1.7, shared=False)
    for number, model in enumerate(models):
        mine = head[head["model"] == model]
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
    label_line(axes[1], f"share of top {top},\nor of the final head")
    legend_below(figure, columns=1)
    return figure


def _draw_ranks(axis: Axes, head: pd.DataFrame, model: str) -> None:
    grid = head.pivot_table(index="final_rank", columns="step", values="rank_fraction")
    sns.heatmap(grid, ax=axis, vmin=0, vmax=1, cmap=RANK_COLOURS, cbar=False, yticklabels=False)
    entered = head.drop_duplicates("final_rank").set_index("final_rank")["entered"].reindex(grid.index)
    column = grid.columns.get_indexer(pd.Index(entered.fillna(-1)))
    row = np.arange(len(grid))
    axis.plot(column[column >= 0] + 0.5, row[column >= 0] + 0.5, "o", color="black", markersize=2)
    axis.set_title(f"{model}\n{head['group'].iloc[0].replace('_', ' ')}, n = {len(grid)}")
    axis.set_ylabel("")
    axis.set_xlabel("training step")


def _draw_entries(axis: Axes, head: pd.DataFrame) -> None:
    """Share of the final head that is in the head from each step on."""
    entered = head.drop_duplicates("neuron")["entered"].to_numpy()
    steps = np.sort(head["step"].unique())
    share = (entered[None] <= steps[:, None]).mean(1)
    axis.plot(steps, share, "s--", color="black", markersize=2.5, label="final head: came to stay by then")


def _draw_turnover(axis: Axes, dynamics: pd.DataFrame, condition: str, top: int) -> None:
    shown = {
        f"kept.top_{top}": ("o-", f"{condition}, kept from the checkpoint before"),
        f"kept.top_{top}.same_checkpoint": (":", f"{condition}, other documents"),
    }
    for measure, (line, label) in shown.items():
        part = dynamics[dynamics["measure"] == measure].sort_values("step")
        axis.plot(
            part["step"], np.asarray(part["value"]), line, color=colour_of(condition), label=label, markersize=2.5
        )
