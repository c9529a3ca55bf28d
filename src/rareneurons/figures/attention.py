"""Figures of attention heads."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from rareneurons.figures.style import models_of


def head_map(attention: pd.DataFrame, groups: Sequence[str]) -> Figure:
    """Effect of each head on a group, layer by head, a row a model and a column a condition.

    Args:
        attention: attention tables of one checkpoint a model.
        groups: each model is drawn for the first of these that it has.
    """
    effects = attention[attention["measure"] == "head_effect"]
    drawn = {
        model: next(name for name in groups if name in set(effects[effects["model"] == model]["group"]))
        for model in models_of(effects)
    }
    effects = effects[effects["group"] == effects["model"].map(drawn)]
    models, conditions = models_of(effects), list(dict.fromkeys(effects["condition"]))
    figure, axes = plt.subplots(
        len(models), len(conditions), figsize=(2.6 * len(conditions) + 0.6, 1.9 * len(models)), squeeze=False
    )
    for model, line in zip(models, axes, strict=True):
        mine = effects[effects["model"] == model]
        everything = attention[attention["model"] == model]
        n_layers, n_heads = int(everything["layer"].max()) + 1, int(everything["head"].max()) + 1
        top = float(mine["value"].max())
        for condition, axis in zip(conditions, line, strict=True):
            part = mine[mine["condition"] == condition]
            grid = np.full((n_layers, n_heads), np.nan)
            grid[part["layer"], part["head"]] = part["value"]
            sns.heatmap(
                grid,
                ax=axis,
                vmin=0,
                vmax=top,
                cmap="viridis",
                mask=np.isnan(grid),
                annot=n_heads <= 8,
                fmt=".2f",
                annot_kws={"size": 6},
                cbar_kws={"label": "effect (sd)"},
            )
            axis.set_facecolor("#dddddd")
            axis.invert_yaxis()
            axis.set_title(f"{model}, {drawn[model].replace('_', ' ')}\n{condition}, n = {int(part['n'].max())} rows")
            axis.set_xlabel("head")
            axis.set_ylabel("layer")
    return figure
