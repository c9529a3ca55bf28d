"""Figures: each function takes tables and returns a matplotlib figure. One style, colour-blind safe colours."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from rareneurons.regimes import SIGNS, Sign, rank_curve

COLUMN_WIDTH = 3.35  # inches, 85 mm
# Okabe & Ito's palette. Conditions and groups keep their colour in every figure.
CONDITION_COLOURS = {"rare": "#D55E00", "common": "#0072B2"}
GROUP_COLOURS = {
    "plateau": "#CC79A7",
    "power_law": "#009E73",
    "decay": "#E69F00",
    "suppress_plateau": "#882255",
    "suppress_power_law": "#117733",
}
NULL_COLOUR = "#999999"
SIGN_MARKERS: Mapping[Sign, str] = {"boost": "-", "suppress": "--"}
STYLE = {
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "legend.fontsize": 7,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 3,
    "ytick.major.size": 3,
    "axes.labelpad": 2,
    "lines.linewidth": 1.2,
    "legend.frameon": False,
    "figure.constrained_layout.use": True,
    "figure.dpi": 200,
    "savefig.dpi": 300,
    "pdf.fonttype": 42,
    "svg.hashsalt": "rareneurons",
}


def apply_style() -> None:
    """Set the project's style for the figures drawn from here on."""
    mpl.use("Agg")
    sns.set_theme(style="ticks", rc=STYLE)


def colour_of(condition: str) -> str:
    """Colour of a condition; conditions the palette does not know share one."""
    return CONDITION_COLOURS.get(condition, "#000000")


def _panels(rows: int, columns: int, height: float = 2.2) -> tuple[Figure, np.ndarray]:
    width = max(COLUMN_WIDTH, 2.9 * columns)
    return plt.subplots(rows, columns, figsize=(width, height * rows), squeeze=False, sharey="row")


def _step_axis(axis: Axes, steps: Sequence[int]) -> None:
    """Training steps on a symmetric-log axis, so that step 0 has a place; labels at a few of them.

    A model without steps (-1) has one place, labelled ``main``.
    """
    if max(steps) < 0:
        axis.set_xticks([-1], ["main"])
        axis.set_xlabel("checkpoint")
        return
    axis.set_xscale("symlog", linthresh=1, linscale=0.5)
    shown = [s for s in (0, 1, 4, 16, 64, 256, 1024, 4096, 16384, 143000) if min(steps) <= s <= max(steps)]
    axis.set_xticks(shown, [str(s) for s in shown])
    axis.minorticks_off()
    axis.set_xlabel("training step")


def _models(table: pd.DataFrame) -> list[str]:
    return [str(model) for model in dict.fromkeys(table["model"])]


def _curve_of(influence: pd.DataFrame, sign: Sign) -> tuple[np.ndarray, np.ndarray]:
    curve = rank_curve(influence["mean_delta_loss"].to_numpy(), influence["mean_abs_delta_loss"].to_numpy(), sign)
    return curve.ln_rank, curve.ln_influence


def rank_influence(influence: pd.DataFrame, cuts: tuple[float, float]) -> Figure:
    """Rank-influence curves, rare beside common, one row a model.

    Args:
        influence: influence tables of one checkpoint a model, held-out split.
        cuts: ln ranks of the fixed cuts, drawn as thin lines.
    """
    models, conditions = _models(influence), list(dict.fromkeys(influence["condition"]))
    figure, axes = _panels(len(models), len(conditions))
    for model, line in zip(models, axes, strict=True):
        for condition, axis in zip(conditions, line, strict=True):
            part = influence[(influence["model"] == model) & (influence["condition"] == condition)]
            for sign in SIGNS:
                x, y = _curve_of(part, sign)
                axis.plot(x, y, SIGN_MARKERS[sign], color=colour_of(condition), label=f"{sign}, n = {len(x)}")
            for cut in cuts:
                axis.axvline(cut, color=NULL_COLOUR, linewidth=0.6, linestyle=":")
            first = part.iloc[0]
            axis.set_title(
                f"{model} {first['checkpoint']}, {condition}\n{first['n_rows']} rows, {first['n_documents']} documents"
            )
            axis.legend(loc="lower left")
            axis.set_xlabel("ln rank")
        line[0].set_ylabel("ln mean |ΔL| (nats)")
    return figure


def rank_influence_by_checkpoint(influence: pd.DataFrame) -> Figure:
    """Boost curves of every checkpoint on a sequential colour map, rare beside common, one row a model.

    Args:
        influence: influence tables of all checkpoints, held-out split.
    """
    models, conditions = _models(influence), list(dict.fromkeys(influence["condition"]))
    figure, axes = _panels(len(models), len(conditions))
    colours = mpl.colormaps["viridis"].reversed()
    norm = Normalize(0, np.log2(max(influence["step"].max(), 1) + 1))
    for model, line in zip(models, axes, strict=True):
        for condition, axis in zip(conditions, line, strict=True):
            part = influence[(influence["model"] == model) & (influence["condition"] == condition)]
            for step, checkpoint in part.groupby("step"):
                x, y = _curve_of(checkpoint, "boost")
                axis.plot(x, y, color=colours(norm(np.log2(max(int(step), 0) + 1))), linewidth=0.9)
            axis.set_title(f"{model}, {condition}, boost")
            axis.set_xlabel("ln rank")
        line[0].set_ylabel("ln mean |ΔL| (nats)")
    bar = figure.colorbar(ScalarMappable(norm, colours), ax=axes, label="training step", fraction=0.04)
    steps = [s for s in (0, 1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 143000) if np.log2(s + 1) <= norm.vmax]
    bar.set_ticks([float(np.log2(s + 1)) for s in steps], labels=[str(s) for s in steps])
    return figure


def measure_by_step(table: pd.DataFrame, measure: str, label: str, groups: Sequence[str], condition: str) -> Figure:
    """One measure of some groups against training step, with intervals and the controls' range, a panel a model.

    Args:
        table: a measure table over models and checkpoints.
        measure: which measure.
        label: axis label with unit.
        groups: which groups.
        condition: which condition.
    """
    models = _models(table)
    figure, axes = _panels(1, len(models), height=2.4)
    for model, axis in zip(models, axes[0], strict=True):
        mine = table[(table["model"] == model) & (table["condition"] == condition)]
        for group in groups:
            _draw_group(axis, mine[mine["group"] == group], measure, group)
        steps = mine["step"].unique()
        if len(steps):
            _step_axis(axis, list(steps))
        axis.set_title(f"{model}, {condition} rows")
    axes[0][0].set_ylabel(label)
    handles = {text: handle for axis in axes[0] for handle, text in zip(*axis.get_legend_handles_labels(), strict=True)}
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=2)
    return figure


def _draw_group(axis: Axes, table: pd.DataFrame, measure: str, group: str) -> None:
    value = table[table["measure"] == measure].sort_values("step")
    if value.empty:
        return
    colour = GROUP_COLOURS.get(group, CONDITION_COLOURS.get(group, "#000000"))
    error = np.vstack([value["value"] - value["ci_low"], value["ci_high"] - value["value"]])
    axis.errorbar(
        value["step"],
        value["value"],
        yerr=np.clip(np.nan_to_num(error), 0, None),
        color=colour,
        marker="o",
        markersize=2.5,
        capsize=1.5,
        elinewidth=0.7,
        label=group.replace("_", " "),
    )
    null = table[table["measure"] == f"{measure}.null_mean"].sort_values("step")
    if len(null):
        axis.fill_between(null["step"], null["ci_low"], null["ci_high"], color=colour, alpha=0.15, linewidth=0)
        axis.plot(
            null["step"],
            null["value"],
            color=colour,
            linestyle=":",
            linewidth=0.9,
            label=f"random, size of {group.replace('_', ' ')}",
        )


def regimes_by_step(regimes: pd.DataFrame) -> Figure:
    """Power-law exponent and head departure under the fixed cuts against training step, rare and common.

    Args:
        regimes: regime tables over models and checkpoints; boost neurons and mean abs dL are drawn.
    """
    boost = regimes[regimes["group"] == "boost"]
    models = _models(boost)
    shown = {
        "mean_abs.fixed.power_law_exponent": "power-law exponent",
        "mean_abs.fixed.head_departure": "head − power law (ln nats)",
    }
    figure, axes = _panels(len(shown), len(models), height=1.9)
    for (measure, label), line in zip(shown.items(), axes, strict=True):
        for model, axis in zip(models, line, strict=True):
            mine = boost[boost["model"] == model]
            for condition, part in mine.groupby("condition", sort=False):
                _draw_group(axis, part, measure, str(condition))
            _step_axis(axis, list(mine["step"].unique()))
            axis.axhline(0, color=NULL_COLOUR, linewidth=0.5, linestyle=":")
            axis.set_title(f"{model}, boost")
        line[0].set_ylabel(label)
    axes[0][0].legend()
    return figure


def head_map(attention: pd.DataFrame, group: str) -> Figure:
    """Effect of each head on a group, layer by head, a row a model and a column a condition.

    Args:
        attention: attention tables of one checkpoint a model.
        group: which group.
    """
    effects = attention[(attention["group"] == group) & (attention["measure"] == "head_effect")]
    models, conditions = _models(effects), list(dict.fromkeys(effects["condition"]))
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
            axis.set_title(f"{model}, {condition}, n = {int(part['n'].max())} rows")
            axis.set_xlabel("head")
            axis.set_ylabel("layer")
    return figure


def weightwatcher_map(table: pd.DataFrame, column: str, label: str) -> Figure:
    """A WeightWatcher column of each matrix against training step, a panel a model.

    Args:
        table: WeightWatcher tables over models and checkpoints.
        column: which column.
        label: colour-bar label.
    """
    models = _models(table)
    n_matrices = max(table[table["model"] == model]["matrix"].nunique() for model in models)
    figure, axes = plt.subplots(1, len(models), figsize=(3.6 * len(models), 0.16 * n_matrices + 0.9), squeeze=False)
    for model, axis in zip(models, axes[0], strict=True):
        mine = table[table["model"] == model]
        mine = mine.assign(matrix=[_short_matrix_name(str(name)) for name in mine["matrix"]])
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
    parts = name.removesuffix(".weight").split(".")
    numbers = [i for i, part in enumerate(parts) if part.isdigit()]
    return ".".join(parts[numbers[0] :]) if numbers else parts[-1]


def _numbers_first(name: str) -> tuple[int, str]:
    """Sort key: blocks by number, then what stands outside them."""
    number = name.split(".")[0]
    return (int(number), name) if number.isdigit() else (10**6, name)


def training_loss(logs: pd.DataFrame, unigram_entropy: float, vocabulary_size: int) -> Figure:
    """Loss against training step of each trained model, with ln V and the corpus's unigram entropy.

    Args:
        logs: columns ``model``, ``step``, ``loss`` (nats per token).
        unigram_entropy: of the training tokens, nats.
        vocabulary_size: V.
    """
    figure, axis = plt.subplots(figsize=(COLUMN_WIDTH, 2.4))
    palette = sns.color_palette("colorblind", logs["model"].nunique())
    for colour, (model, part) in zip(palette, logs.groupby("model", sort=False), strict=True):
        smooth = part["loss"].rolling(9, center=True, min_periods=1).mean()
        axis.plot(part["step"], part["loss"], color=colour, alpha=0.2, linewidth=0.5)
        axis.plot(part["step"], smooth, color=colour, label=str(model))
    for level, text in ((np.log(vocabulary_size), "ln V"), (unigram_entropy, "unigram entropy")):
        axis.axhline(level, color=NULL_COLOUR, linestyle=":", linewidth=0.9)
        axis.text(logs["step"].max(), level, text, ha="right", va="bottom", fontsize=7)
    axis.set_xlabel("training step")
    axis.set_ylabel("loss (nats per token)")
    axis.legend()
    return figure


def save(figure: Figure, file: Any, suffix: str) -> None:
    """Write a figure as ``pdf`` or ``png`` without a creation date, so that equal figures are equal files."""
    metadata = {"CreationDate": None} if suffix == "pdf" else {"Software": None}
    figure.savefig(file, format=suffix, metadata=metadata)
