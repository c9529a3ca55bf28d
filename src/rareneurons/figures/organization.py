"""Figures of a group's communities: modularity against its nulls, and correlations ordered by community."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from rareneurons.figures.palette import GROUP_COLOURS, NULL_COLOURS
from rareneurons.figures.style import COLUMN_WIDTH, label_line, legend_below, models_of, panels, step_axis

NULL_LINES = {"random": ":", "matched": "--", "shift": "-."}
PREFERRED = ("plateau", "fixed_plateau")


def modularity_by_step(table: pd.DataFrame, groups: Sequence[str], condition: str) -> Figure:
    """Signed modularity of each group against training step with its three nulls, a row a group, a column a model.

    Args:
        table: the organization of all models and checkpoints.
        groups: which groups, those that the table has.
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
            axis.set_title(f"{model}\n{group.replace('_', ' ')}")
        label_line(row, "signed modularity")
    for axis in axes[:-1].flat:
        axis.set_xlabel("")
    legend_below(figure)
    return figure


def _draw_value(axis: Axes, table: pd.DataFrame, group: str) -> None:
    value = table[table["measure"] == "signed_modularity.matched"].sort_values("step")
    error = np.vstack([value["value"] - value["ci_low"], value["ci_high"] - value["value"]])
    axis.errorbar(
        value["step"],
        value["value"],
        yerr=np.clip(np.nan_to_num(error), 0, None),
        color=GROUP_COLOURS[group],
        marker="o",
        markersize=2.5,
        capsize=1.5,
        elinewidth=0.7,
        label=group.replace("_", " "),
    )


def _draw_nulls(axis: Axes, table: pd.DataFrame) -> None:
    """Means of the nulls, and the central 95 % of the matched one."""
    for null, dashes in NULL_LINES.items():
        colour = NULL_COLOURS[null]
        mean = table[table["measure"] == f"signed_modularity.{null}.null_mean"].sort_values("step")
        steps, label = mean["step"], f"{null} null"
        axis.plot(steps, mean["value"], dashes, color=colour, linewidth=0.9, marker=".", markersize=2.5, label=label)
        if null != "matched":
            continue
        if len(steps) == 1:  # a band of one step has no width
            axis.vlines(steps, mean["ci_low"], mean["ci_high"], color=colour, alpha=0.12, linewidth=6)
        else:
            axis.fill_between(steps, mean["ci_low"], mean["ci_high"], color=colour, alpha=0.12, linewidth=0)


def community_matrices(pictures: Mapping[str, Mapping[str, np.ndarray]]) -> Figure:
    """Correlations of the plateau's neurons ordered by community, beside a matched group's, a row a model.

    Args:
        pictures: model -> arrays as ``organization.group.community_pictures`` returns them. The fixed plateau stands in
            where there is no fitted one.
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
            axis.set_title(f"{model}\n{text.replace('_', ' ')}")
    if image is not None:
        figure.colorbar(image, ax=axes, label="correlation", location="bottom", shrink=0.6, aspect=30)
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
