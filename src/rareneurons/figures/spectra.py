"""Figures of weight spectra."""

import re
from collections.abc import Mapping

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from rareneurons.figures.palette import NULL_COLOUR, group_colour
from rareneurons.figures.style import (
    COLUMN_WIDTH,
    SMALLEST_TEXT,
    draw_heat_map,
    label_line,
    legend_below,
    models_of,
    panels,
)
from rareneurons.groups import TOP_GROUPS

MATRIX_NAMES = {"w_out": "output weights", "w_in": "input weights", "w_gate": "gate weights", "w_up": "up weights"}


def hill_plots(plots: pd.DataFrame) -> Figure:
    """Hill's exponent over k of each model's larger top group beside its matched groups' band, one row per matrix.

    Args:
        plots: tables of ``spectra.hill_plots.hill_plot_frame``, of each model's last checkpoint.
    """
    plots = plots[plots["group"].isin(TOP_GROUPS)]
    models = models_of(plots) or ["no group is large enough"]
    matrices = [str(matrix) for matrix in dict.fromkeys(plots["matrix"])] or ["w_out"]
    figure, axes = panels(len(matrices), len(models), height=1.35)
    for matrix, line in zip(matrices, axes, strict=True):
        for model, axis in zip(models, line, strict=True):
            mine = plots[(plots["model"] == model) & (plots["matrix"] == matrix)]
            title = f"{model}\n{MATRIX_NAMES.get(matrix, matrix)}"
            if len(mine):
                larger = mine.sort_values("n").iloc[-1]
                _draw_hill_plot(axis, mine[mine["group"] == larger["group"]])
                title += f", n = {larger['n']}"
            axis.set_title(title)
        label_line(line, "Hill exponent")
    for axis in axes[-1]:
        axis.set_xlabel("k, eigenvalues in the tail")
    legend_below(figure)
    return figure


def _draw_hill_plot(axis: Axes, plot: pd.DataFrame) -> None:
    plot = plot.sort_values("k")
    group = str(plot["group"].iloc[0])
    colour = group_colour(group)
    axis.fill_between(
        plot["k"], plot["matched_low"], plot["matched_high"], color=NULL_COLOUR, alpha=0.3, linewidth=0, label="matched"
    )
    axis.plot(plot["k"], plot["matched_mean"], ":", color=NULL_COLOUR, linewidth=0.9)
    axis.fill_between(plot["k"], plot["ci_low"], plot["ci_high"], color=colour, alpha=0.3, linewidth=0)
    label = group.replace("_", " ")
    axis.plot(plot["k"], plot["exponent"], color=colour, marker="o", markersize=2, label=label)
    stable, paper = plot[plot["stable"]], plot.loc[plot["paper_k"], "k"]
    if len(stable):
        axis.plot(stable["k"], stable["exponent"], color="black", linewidth=2.5, alpha=0.6, label="stable region")
    for k in paper:
        axis.axvline(k, color="black", linestyle="--", linewidth=0.7, label="the paper's k")
    axis.set_ylim(bottom=0)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))


def weightwatcher_map(table: pd.DataFrame, columns: Mapping[str, str]) -> Figure:
    """WeightWatcher's columns for each matrix (of experts, their mean) by training step, one map per column.

    Args:
        table: WeightWatcher tables over models and checkpoints.
        columns: column -> label of its colour bar. The scale ends at the 95 % quantile of the values.
    """
    models = models_of(table)
    table = table.assign(matrix=[_short_matrix_name(str(name)) for name in table["matrix"]])
    n_matrices = max(table[table["model"] == model]["matrix"].nunique() for model in models)
    size = (COLUMN_WIDTH, len(models) * (0.11 * n_matrices + 1.25))
    figure, axes = plt.subplots(len(models), len(columns), figsize=size, squeeze=False)
    for model, line in zip(models, axes, strict=True):
        for (column, label), axis in zip(columns.items(), line, strict=True):
            _draw_map(axis, table[table["model"] == model], column, label)
            axis.tick_params(axis="y", labelleft=axis is line[0])
        line[0].set_title(model)
    return figure


def _draw_map(axis: Axes, table: pd.DataFrame, column: str, label: str) -> None:
    grid = table.pivot_table(index="matrix", columns="step", values=column, dropna=False)
    grid = grid.loc[sorted(grid.index, key=_numbers_first)]
    bar = {"label": label, "extend": "max", "location": "top", "aspect": 15}
    top = table[column].quantile(0.95)
    draw_heat_map(axis, grid, cmap="viridis", vmax=top, cbar_kws=bar, yticklabels=True)
    axis.set_facecolor("#dddddd")
    axis.tick_params(axis="y", labelsize=SMALLEST_TEXT, length=0)
    axis.tick_params(axis="x", rotation=90)
    axis.set_xlabel("training step")
    axis.set_ylabel("")


def _short_matrix_name(name: str) -> str:
    """Name without what all blocks share, and without the expert's number, since a map has one row for all experts."""
    parts = re.sub(r"(\.experts)\.\d+", r"\1", name).removesuffix(".weight").split(".")
    numbers = [i for i, part in enumerate(parts) if part.isdigit()]
    return ".".join(parts[numbers[0] :]) if numbers else parts[-1]


def _numbers_first(name: str) -> tuple[int, str]:
    """Sort key: blocks by number, then the matrices outside of blocks."""
    number = name.split(".")[0]
    return (int(number), name) if number.isdigit() else (10**6, name)
