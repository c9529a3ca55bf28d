"""Figure of the known types of neurons."""

from collections.abc import Sequence

import pandas as pd
from matplotlib.figure import Figure

from rareneurons.figures.palette import group_colour
from rareneurons.figures.style import label_line, legend_below, models_of, panels, words


def neuron_types(neurons: pd.DataFrame, groups: pd.DataFrame, names: Sequence[str]) -> Figure:
    """Entropy and token-frequency alignment of every neuron, the groups as rings, declared neurons crossed.

    Args:
        neurons: per-neuron properties of one checkpoint per model.
        groups: group tables of the same checkpoints.
        names: which groups.
    """
    models = models_of(neurons)
    figure, axes = panels(1, len(models), height=2.3)
    for model, axis in zip(models, axes[0], strict=True):
        mine = neurons[neurons["model"] == model].set_index("neuron")
        columns = ["null_space_ratio", "frequency_ratio"]
        axis.plot(*mine[columns].to_numpy().T, ".", color="#cccccc", markersize=3, label="all neurons", zorder=1)
        for size, name in zip((4, 6), names, strict=False):  # of two sizes, so that what both sets hold shows
            chosen = groups[(groups["model"] == model) & (groups["group"] == name)]["neuron"]
            values, colour = mine.loc[chosen, columns].to_numpy().T, group_colour(name)
            axis.plot(*values, "o", color=colour, markerfacecolor="none", markersize=size, label=words(name))
        for name, marker in (("entropy_neuron", "+"), ("frequency_neuron", "x")):
            declared = mine.loc[mine[name] == 1, columns].to_numpy().T
            axis.plot(*declared, marker, color="black", markersize=4, label=f"declared {words(name)}", linestyle="")
        axis.axvline(1, color="black", linewidth=0.6, linestyle="--")
        axis.axhline(1, color="black", linewidth=0.6, linestyle="--", label="largest of random directions")
        axis.set_xscale("log")
        axis.set_xlabel("share in null space /\nlargest at random")
        checkpoint, n = mine["checkpoint"].iloc[0], len(mine)
        axis.set_title(f"{model}\n{checkpoint}, {int(mine['known_type'].sum())} of {n} declared")
    label_line(axes[0], "cosine with unigram /\nlargest at random")
    legend_below(figure)
    return figure
