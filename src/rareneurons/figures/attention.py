"""Figures of attention heads: maps, concentration, single heads beside layers, patterns."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from rareneurons.figures.palette import NULL_COLOUR, colour_of
from rareneurons.figures.style import COLUMN_WIDTH, SMALLEST_TEXT, label_line, models_of, panels
from rareneurons.groups import TOP_GROUPS
from rareneurons.tables import rows_of

UNIT = "effect (sd)"
NOT_ABLATED = "#bbbbbb"


def drawn_group(heads: pd.DataFrame, model: str) -> str | None:
    """The group that a model is drawn for: plateau neurons or, without them, those by the fixed cuts."""
    effects = rows_of(heads[heads["model"] == model], "head_effect", "mean", against="matched")
    return next((name for name in TOP_GROUPS if name in set(effects["group"])), None)


def _of(
    table: pd.DataFrame, model: str, group: str | None, condition: str, measure: str, part: str = "", against: str = ""
) -> pd.DataFrame:
    mine = table[(table["model"] == model) & (table["group"] == group) & (table["condition"] == condition)]
    return rows_of(mine, measure, part, against=against)


def _title(model: str, group: str | None) -> str:
    return f"{model}\n{group.replace('_', ' ')}" if group else f"{model}\nno plateau group"


def _errors(table: pd.DataFrame) -> np.ndarray:
    """Lengths (2, n) of error bars."""
    return np.clip(np.nan_to_num([table["value"] - table["ci_low"], table["ci_high"] - table["value"]]), 0, None)


def head_maps(heads: pd.DataFrame, conditions: Sequence[str], alpha: float) -> Figure:
    """Effect of replacing each head on a group, by layer and head, per condition and as difference; one row per model.

    Where heads were screened, the effects per condition are those of the screen, which has all heads.

    Args:
        heads: tables of heads, of one checkpoint per model.
        conditions: rare and common.
        alpha: largest adjusted p-value of a marked difference.
    """
    models = models_of(heads)
    rare, common = conditions
    figure, axes = plt.subplots(len(models), 3, figsize=(COLUMN_WIDTH, 0.3 + 1.75 * len(models)), squeeze=False)
    for model, line in zip(models, axes, strict=True):
        group = drawn_group(heads, model)
        shape = heads.loc[heads["model"] == model, ["layer", "head"]].max().to_numpy() + 1
        unreachable = _of(heads, model, group, rare, "structurally_zero")
        effects = [_effects(heads, model, group, name) for name in conditions]
        gap = _of(heads, model, group, f"{rare}-{common}", "selectivity", "mean")
        top = max([each["value"].max() for each in effects if len(each)], default=1)
        widest = gap["value"].abs().max() if len(gap) else 1
        parts = [*((each, "viridis", 0, top) for each in effects), (gap, "PuOr_r", -widest, widest)]
        names = [
            f"{name}\nn = {each['n'].max() if len(each) else 0}" for name, each in zip(conditions, effects, strict=True)
        ]
        for axis, name, (table, colours, low, high) in zip(line, [*names, f"{rare} −\n{common}"], parts, strict=True):
            axis.set_facecolor(NOT_ABLATED)
            image = axis.imshow(_grid(table, shape), origin="lower", aspect="auto", cmap=colours, vmin=low, vmax=high)
            _hatch(axis, unreachable)
            axis.set_title(name)
            axis.set_xlabel("head")
            axis.set_xticks(*_ticks(shape[1]))
            axis.set_yticks(*_ticks(shape[0]))
            axis.tick_params(labelleft=axis is line[0])
            bar = figure.colorbar(image, ax=axis, location="bottom", aspect=12, label=UNIT)
            bar.ax.xaxis.set_major_locator(MaxNLocator(2))
        marked = gap[gap["q_value"] <= alpha]
        line[2].plot(marked["head"], marked["layer"], "o", color="black", markersize=2.5)
        line[0].set_ylabel(f"{_title(model, group)}\nlayer")
    handles = [
        Line2D([], [], color="black", marker="o", markersize=2.5, linestyle="", label=f"adjusted p ≤ {alpha:g}"),
        Patch(facecolor="#dddddd", hatch="////", edgecolor="#777777", label="cannot reach the last MLP"),
    ]
    if (heads["measure"] == "screened_effect").any():
        handles.append(Patch(facecolor=NOT_ABLATED, edgecolor="#777777", linewidth=0.4, label="not ablated"))
    figure.legend(handles=handles, loc="outside lower center", ncols=2)
    return figure


def _effects(heads: pd.DataFrame, model: str, group: str | None, condition: str) -> pd.DataFrame:
    """First-order effects of the screen, where there was one, of heads that can reach the group; else exact ones."""
    screened = _of(heads, model, group, condition, "screened_effect", "mean")
    unreachable = _of(heads, model, group, condition, "structurally_zero")
    if screened.empty:
        return _of(heads, model, group, condition, "head_effect", "mean", "matched")
    return screened[~screened["layer"].isin(unreachable["layer"])]


def _grid(table: pd.DataFrame, shape: np.ndarray) -> np.ndarray:
    grid = np.full(shape, np.nan)
    grid[table["layer"], table["head"]] = table["value"]
    return grid


def _hatch(axis: Axes, table: pd.DataFrame) -> None:
    for layer, head in zip(table["layer"], table["head"], strict=True):
        axis.add_patch(
            plt.Rectangle((head - 0.5, layer - 0.5), 1, 1, facecolor="#dddddd", edgecolor="#777777", hatch="////", lw=0)
        )


def _ticks(n: int) -> tuple[range, range]:
    every = range(0, n, -(-n // 8))
    return every, every


def concentration(heads: pd.DataFrame, attention: pd.DataFrame, conditions: Sequence[str]) -> Figure:
    """Effects of heads on a group, sorted, with their Gini coefficient and the band of permuted heads, per model.

    Args:
        heads: tables of heads, of one checkpoint per model.
        attention: attention tables of the same checkpoints.
        conditions: rare and common.
    """
    models = models_of(heads)
    figure, axes = panels(1, len(models), height=1.9)
    for model, axis in zip(models, axes[0], strict=True):
        group = drawn_group(heads, model)
        for place, condition in enumerate(conditions):
            effects = _of(heads, model, group, condition, "head_effect", "mean", "matched")
            effects = effects.sort_values("value", ascending=False)
            null = _of(heads, model, group, condition, "head_effect", "mean", "permuted")
            null = null.sort_values("null_mean", ascending=False)
            rank = np.arange(1, len(effects) + 1)
            colour = colour_of(condition)
            axis.fill_between(rank, null["null_low"], null["null_high"], color=colour, alpha=0.2, linewidth=0)
            axis.errorbar(
                rank,
                effects["value"],
                yerr=_errors(effects),
                color=colour,
                fmt="o-",
                markersize=2.5,
                linewidth=0.8,
                elinewidth=0.7,
                capsize=1.5,
            )
            if len(effects):
                text = f"{condition}: {_gini(attention, model, group, condition)}".replace(", ", "\n")
                axis.text(
                    0.97,
                    1.0 - 0.21 * place,
                    text,
                    transform=axis.transAxes,
                    ha="right",
                    va="top",
                    color=colour,
                    size=SMALLEST_TEXT,
                )
        axis.set_title(_title(model, group))
        axis.set_xlabel("head, by effect")
        axis.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes[0][0].set_ylim(0, None)
    label_line(axes[0], UNIT)
    handles = [
        Line2D([], [], color="black", marker="o", markersize=2.5, linewidth=0.8, label="heads, 95 % interval"),
        Patch(facecolor=NULL_COLOUR, alpha=0.4, label="heads permuted within documents, 95 %"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=1)
    return figure


def _gini(attention: pd.DataFrame, model: str, group: str | None, condition: str) -> str:
    found = _of(attention, model, group, condition, "gini", "mean", "permuted").iloc[0]
    return f"Gini {found['value']:.2f}, permuted {found['null_mean']:.2f}"


def heads_and_layers(heads: pd.DataFrame, condition: str) -> Figure:
    """Effect on a group of single heads, of whole layers and of random sets of as many heads, per model.

    Args:
        heads: tables of heads, of one checkpoint per model.
        condition: which condition.
    """
    models = models_of(heads)
    figure, axes = panels(1, len(models), height=1.9)
    colour = colour_of(condition)
    for model, axis in zip(models, axes[0], strict=True):
        group = drawn_group(heads, model)
        single = _of(heads, model, group, condition, "head_effect", "mean", "matched")
        layers = _of(heads, model, group, condition, "layer_effect", "mean").sort_values("layer")
        sets = _of(heads, model, group, condition, "layer_effect", "mean", "random_sets")
        for low, high, mean in sets[["null_low", "null_high", "null_mean"]].drop_duplicates().itertuples(index=False):
            axis.axhspan(low, high, color=NULL_COLOUR, alpha=0.3, linewidth=0)
            axis.axhline(mean, color=NULL_COLOUR, linewidth=0.8, linestyle="--")
        axis.plot(single["layer"], single["value"], "o", color=colour, markersize=3, alpha=0.7, markeredgewidth=0)
        axis.errorbar(
            layers["layer"],
            layers["value"],
            yerr=_errors(layers),
            color="black",
            fmt="D",
            markersize=4,
            capsize=2,
            linewidth=0.8,
        )
        axis.set_title(_title(model, group))
        axis.set_xlabel("layer")
        if len(layers):
            axis.set_xticks(*_ticks(int(layers["layer"].max()) + 1))
            axis.set_xlim(-0.5, layers["layer"].max() + 0.5)
    axes[0][0].set_ylim(0, None)
    label_line(axes[0], f"{UNIT}, {condition} rows")
    handles = [
        Line2D([], [], color=colour, marker="o", markersize=3, linestyle="", label="one head"),
        Line2D([], [], color="black", marker="D", markersize=4, linestyle="", label="all heads of the layer, 95 %"),
        Patch(facecolor=NULL_COLOUR, alpha=0.4, label="as many random heads, 95 %"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=2)
    return figure


def pattern_similarity(heads: pd.DataFrame, conditions: Sequence[str]) -> Figure:
    """Similarity of each head's attention from rare and common rows: cosine, and divergence beside shuffled labels.

    Args:
        heads: tables of heads, of one checkpoint per model.
        conditions: rare and common.
    """
    models = models_of(heads)
    figure, axes = panels(2, len(models), height=1.4)
    difference = "-".join(conditions)
    for model, (upper, lower) in zip(models, axes.T, strict=True):
        alike = _of(heads, model, "all", difference, "pattern_cosine")
        apart = _of(heads, model, "all", difference, "pattern_divergence", against="shuffled")
        n_heads = alike["head"].max() + 1
        for axis, table in ((upper, alike), (lower, apart)):
            place = table["layer"] + (table["head"] - (n_heads - 1) / 2) / (1.4 * n_heads)
            if axis is lower:
                axis.vlines(place, apart["null_low"], apart["null_high"], color=NULL_COLOUR, linewidth=3, alpha=0.6)
            axis.errorbar(
                place, table["value"], yerr=_errors(table), fmt="o", color="black", markersize=2.5, elinewidth=0.7
            )
            axis.set_xticks(*_ticks(int(table["layer"].max()) + 1))
        upper.set_title(f"{model}\nn = {alike['n'].max()} rows")
        lower.set_xlabel("layer (heads side by side)")
    label_line(axes[0], "cosine")
    axes[1][0].set_ylim(0, None)
    label_line(axes[1], "divergence (bits)")
    handles = [
        Line2D([], [], color="black", marker="o", markersize=2.5, linestyle="", label="head, 95 % interval"),
        Patch(facecolor=NULL_COLOUR, alpha=0.6, label="labels shuffled, 95 %"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=2)
    return figure
