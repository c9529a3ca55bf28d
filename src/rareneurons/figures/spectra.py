"""Figures of weight spectra."""

import re

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from rareneurons.figures.style import models_of


def weightwatcher_map(table: pd.DataFrame, column: str, label: str) -> Figure:
    """A WeightWatcher column of each matrix against training step, a panel a model; of experts, their mean.

    Args:
        table: WeightWatcher tables over models and checkpoints.
        column: which column.
        label: colour-bar label.
    """
    models = models_of(table)
    table = table.assign(matrix=[_short_matrix_name(str(name)) for name in table["matrix"]])
    n_matrices = max(table[table["model"] == model]["matrix"].nunique() for model in models)
    figure, axes = plt.subplots(1, len(models), figsize=(3.6 * len(models), 0.16 * n_matrices + 0.9), squeeze=False)
    for model, axis in zip(models, axes[0], strict=True):
        mine = table[table["model"] == model]
        grid = mine.pivot_table(index="matrix", columns="step", values=column, dropna=False)
        grid = grid.loc[sorted(grid.index, key=_numbers_first)]
        sns.heatmap(grid, ax=axis, cmap="viridis", cbar_kws={"label": label}, yticklabels=True)
        axis.set_facecolor("#dddddd")
        axis.tick_params(axis="y", labelsize=5)
        axis.tick_params(axis="x", rotation=90)
        axis.set_title(model)
        axis.set_xlabel("training step")
        axis.set_ylabel("")
    return figure


def _short_matrix_name(name: str) -> str:
    """Name without what all blocks share, and without the number of an expert: a map has one row for all experts."""
    parts = re.sub(r"(\.experts)\.\d+", r"\1", name).removesuffix(".weight").split(".")
    numbers = [i for i, part in enumerate(parts) if part.isdigit()]
    return ".".join(parts[numbers[0] :]) if numbers else parts[-1]


def _numbers_first(name: str) -> tuple[int, str]:
    """Sort key: blocks by number, then what stands outside them."""
    number = name.split(".")[0]
    return (int(number), name) if number.isdigit() else (10**6, name)
