"""Figures of a group's communities: their separation beside its nulls, and correlations ordered by community."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from rareneurons.figures.palette import NULL_COLOURS, group_colour
from rareneurons.figures.style import COLUMN_WIDTH, label_line, legend_below, models_of, panels, step_axis, words
from rareneurons.tables import rows_of

MEASURE = "separation"
NULL_LINES = {"rotation": "-", "matched": "--", "shuffled": (0, (4, 1, 1, 1)), "random": ":"}
BAND = "rotation"  # the null that the claim is decided against
PREFERRED = ("plateau", "top_33", "selective_33")


def separation_by_step(table: pd.DataFrame, groups: Sequence[str], condition: str) -> Figure:
    """Separation of each group's communities by training step with its nulls; one row per group, one column per model.

    Args:
        table: the organization table over models and checkpoints.
        groups: which groups; those that are not in the table are left out.
        condition: which condition.
    """
    table = table[table["condition"] == condition]
    groups = [group for group in groups if (table["group"] == group).any()]
    models = models_of(table)
    figure, axes = panels(len(groups), len(models), height=1.25)
    for group, row in zip(groups, axes, strict=True):
        for model, axis in zip(models, row, strict=True):
            mine = table[(table["model"] == model) & (table["group"] == group)]
            _draw_nulls(axis, mine)
            _draw_value(axis, mine, group)
            if len(mine):
                step_axis(axis, list(table.loc[table["model"] == model, "step"].unique()))
            axis.set_title(f"{model}\n{words(group)}")
        label_line(row, "separation (r)")
    for axis in axes[:-1].flat:
        axis.set_xlabel("")
    legend_below(figure)
    return figure


def _draw_value(axis: Axes, table: pd.DataFrame, group: str) -> None:
    value = rows_of(table, MEASURE, against=BAND).sort_values("step")
    error = np.vstack([value["value"] - value["ci_low"], value["ci_high"] - value["value"]])
    axis.errorbar(
        value["step"],
        value["value"],
        yerr=np.clip(np.nan_to_num(error), 0, None),
        color=group_colour(group),
        marker="o",
        markersize=2.5,
        capsize=1.5,
        elinewidth=0.7,
        label=words(group),
    )


def _draw_nulls(axis: Axes, table: pd.DataFrame) -> None:
    """Means of the nulls, and the central 95 % of the rotations."""
    for null, dashes in NULL_LINES.items():
        colour = NULL_COLOURS[null]
        compared = rows_of(table, MEASURE, against=null).dropna(subset="null_mean").sort_values("step")
        if compared.empty:
            continue
        steps, mean, label = compared["step"], compared["null_mean"], f"{null} null"
        low, high = compared["null_low"], compared["null_high"]
        axis.plot(steps, mean, linestyle=dashes, color=colour, linewidth=0.9, marker=".", markersize=2.5, label=label)
        if null != BAND:
            continue
        if len(steps) == 1:  # a band of one step would have no width
            axis.vlines(steps, low, high, color=colour, alpha=0.12, linewidth=6)
        else:
            axis.fill_between(steps, low, high, color=colour, alpha=0.12, linewidth=0)


def community_matrices(pictures: Mapping[str, Mapping[str, np.ndarray]]) -> Figure:
    """What a common factor leaves of correlations, ordered by community, beside a matched group's; a row per model.

    Args:
        pictures: model -> arrays as ``organization.pictures.community_pictures`` returns them. The top neurons are
            shown for a model without a fitted one.
    """
    figure, axes = plt.subplots(len(pictures), 2, figsize=(COLUMN_WIDTH, 0.5 + 1.75 * len(pictures)), squeeze=False)
    image = None
    for (model, arrays), row in zip(pictures.items(), axes, strict=True):
        group = next((name for name in PREFERRED if f"{name}.correlation" in arrays), "plateau")
        for axis, prefix, text in zip(row, ("", "matched_"), (group, "matched control"), strict=True):
            key = f"{group}.{prefix}correlation"
            if key not in arrays:
                axis.text(0.5, 0.5, "not measured", ha="center", transform=axis.transAxes)
                axis.set_axis_off()
                continue
            image = _draw_ordered(axis, arrays[key], arrays[f"{group}.{prefix}community"])
            axis.set_title(f"{model}\n{words(text)}")
    if image is not None:
        figure.colorbar(
            image, ax=axes, label="correlation without the common factor", location="bottom", shrink=0.6, aspect=30
        )
    return figure


def _draw_ordered(axis: Axes, correlation: np.ndarray, community: np.ndarray) -> AxesImage:
    """One matrix, larger communities first, with a frame around each community."""
    size = np.bincount(community)
    order = np.lexsort((community, -size[community]))
    shown = correlation[np.ix_(order, order)].copy()
    np.fill_diagonal(shown, np.nan)
    image = axis.imshow(
        shown, cmap=plt.get_cmap("RdBu_r").with_extremes(bad="white"), vmin=-1, vmax=1, interpolation="nearest"
    )
    first = 0
    for length in np.sort(size)[::-1]:
        corner = (first - 0.5, first - 0.5)
        axis.add_patch(plt.Rectangle(corner, length, length, fill=False, edgecolor="black", linewidth=1))
        first += length
    axis.set_xticks([])
    axis.set_yticks([])
    axis.set_xlabel(f"{len(community)} neurons,\n{len(size)} communities")
    return image
