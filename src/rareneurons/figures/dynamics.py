"""Figures of training: where the final head came from, and how fast the top turns over."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rareneurons.figures.style import colour_of, models_of, step_axis


def final_head_and_turnover(ranks: pd.DataFrame, dynamics: pd.DataFrame, conditions: Sequence[str], top: int) -> Figure:
    """Rank of the final head's neurons at every checkpoint, above the share of the top that each checkpoint kept.

    Args:
        ranks: as ``dynamics.ranks_of_final_group`` returns it.
        dynamics: dynamics table; the turnover of ``top`` is drawn.
        conditions: whose turnover.
        top: size of the tops.
    """
    models = models_of(ranks)
    figure, axes = plt.subplots(2, len(models), figsize=(3.3 * len(models), 4.6), squeeze=False)
    for number, model in enumerate(models):
        _draw_ranks(axes[0][number], ranks[ranks["model"] == model], model, number == len(models) - 1)
        mine = dynamics[dynamics["model"] == model]
        for condition in conditions:
            _draw_turnover(axes[1][number], mine[mine["condition"] == condition], condition, top)
        step_axis(axes[1][number], sorted(ranks.loc[ranks["model"] == model, "step"].unique()))
        axes[1][number].set_ylim(0, 1.02)
    axes[0][0].set_ylabel("neuron, by final rank")
    axes[1][0].set_ylabel(f"share of the top {top}")
    handles, labels = axes[1][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2)
    return figure


def _draw_ranks(axis: Axes, ranks: pd.DataFrame, model: str, with_bar: bool) -> None:
    grid = ranks.pivot_table(index="final_rank", columns="step", values="rank_fraction")
    bar = {"label": "rank fraction (0 = top)"}
    sns.heatmap(grid, ax=axis, vmin=0, vmax=1, cmap="viridis_r", cbar=with_bar, cbar_kws=bar, yticklabels=False)
    axis.set_title(f"{model}, {ranks['group'].iloc[0].replace('_', ' ')}, n = {len(grid)}")
    axis.set_ylabel("")
    axis.set_xlabel("training step")


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
