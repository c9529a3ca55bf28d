"""Figures of rank-influence curves, their regimes, and what they are compared with."""

from collections.abc import Sequence

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from rareneurons.figures.palette import GROUP_COLOURS, NULL_COLOUR, colour_of
from rareneurons.figures.style import (
    COLUMN_WIDTH,
    SIGN_MARKERS,
    SMALLEST_TEXT,
    draw_group,
    label_line,
    legend_below,
    models_of,
    panels,
    step_axis,
    words,
)
from rareneurons.regimes.curve import SIGNS, Sign, rank_curve
from rareneurons.regimes.estimates import AUTO, FLATNESS, OF_READING, PLATEAU, Number, top_part
from rareneurons.regimes.local_exponent import Reading
from rareneurons.tables import rows_of

INTERVAL = 1.96  # standard errors on either side
SIGN_LABELS = {"boost": "boost neurons, 95 % intervals", "suppress": "suppressing neurons"}
POWER_LAW_EXPONENT: Number = ("power_law_exponent", AUTO)
PLATEAU_END: Number = ("plateau_end", AUTO)
READING_WORDS: dict[Reading, str] = {"flat": "flat top", "excess": "excess"}


def _curve_of(influence: pd.DataFrame, sign: Sign) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """ln rank, ln influence and its relative standard error, by falling influence."""
    mean_abs = influence["mean_abs_delta_loss"].to_numpy()
    curve = rank_curve(influence["mean_delta_loss"].to_numpy(), mean_abs, sign)
    error = influence["se_abs_delta_loss"].to_numpy()[curve.neuron] / mean_abs[curve.neuron]
    return curve.ln_rank, curve.ln_influence, error


def _first(regimes: pd.DataFrame, number: Number) -> pd.Series | None:
    found = rows_of(regimes, *number)
    return None if found.empty else found.iloc[0]


def rank_influence(
    influence: pd.DataFrame,
    regimes: pd.DataFrame,
    no_plateau: pd.DataFrame,
    cuts: tuple[float, float],
    conditions: Sequence[str],
) -> Figure:
    """Boost curves with standard errors, the band of curves without a plateau, and the fitted regimes.

    One row per model, one column per condition. The same neurons ranked on shuffled labels are drawn in grey.

    Args:
        influence: influence tables of one checkpoint per model, held-out split.
        regimes: regime tables of the same checkpoints.
        no_plateau: bands of curves without a plateau, of the same checkpoints.
        cuts: ln ranks of the authors' fixed cuts, drawn as dotted lines.
        conditions: which conditions.
    """
    models = models_of(influence)
    figure, axes = panels(len(models), len(conditions), height=2.15)
    for model, line in zip(models, axes, strict=True):
        for condition, axis in zip(conditions, line, strict=True):

            def chosen(table: pd.DataFrame, name: str, model: str = model) -> pd.DataFrame:
                return table[(table["model"] == model) & (table["condition"] == name)]

            band = chosen(no_plateau, condition)
            _draw_no_plateau(axis, band[band["group"] == "boost"])
            shuffled = chosen(influence, f"shuffled_{condition}")
            if len(shuffled):
                x, y, _ = _curve_of(shuffled, "boost")
                axis.plot(x, y, color=NULL_COLOUR, linewidth=0.9, label="shuffled labels")
            part = chosen(influence, condition)
            for sign in SIGNS:
                x, y, error = _curve_of(part, sign)
                axis.plot(x, y, SIGN_MARKERS[sign], color=colour_of(condition), label=SIGN_LABELS[sign])
                place = 0.03, 0.12 - 0.09 * SIGNS.index(sign)
                axis.text(*place, f"{len(x)} {sign}", fontsize=SMALLEST_TEXT, transform=axis.transAxes)
                if sign == "boost":
                    width = np.log1p(INTERVAL * error)
                    axis.fill_between(x, y - width, y + width, color=colour_of(condition), alpha=0.25, linewidth=0)
            for cut in cuts:
                axis.axvline(cut, color=NULL_COLOUR, linewidth=0.6, linestyle=":")
            fitted = chosen(regimes, condition)
            verdict = _draw_regimes(axis, fitted[fitted["group"] == "boost"])
            first = part.iloc[0]
            axis.set_title(
                f"{model}\n{first['checkpoint']}, {condition}\n{verdict}\n"
                f"{first['n_rows']} rows, {first['n_documents']} documents"
            )
            axis.set_xlabel("ln rank")
        label_line(line, "ln mean |ΔL| (nats)")
    lines = {SIGN_LABELS[sign]: Line2D([], [], color="black", linestyle=SIGN_MARKERS[sign]) for sign in SIGNS}
    legend_below(figure, lines)
    return figure


def _draw_no_plateau(axis: Axes, band: pd.DataFrame) -> None:
    if band.empty:
        return
    axis.fill_between(
        band["ln_rank"],
        band["ln_influence_low"],
        band["ln_influence_high"],
        color=NULL_COLOUR,
        alpha=0.25,
        linewidth=0,
        label="95 % without plateau",
    )


def _draw_regimes(axis: Axes, regimes: pd.DataFrame) -> str:
    """Mark the fitted plateau's end with its interval; returns the test's verdict in words."""
    end, test = _first(regimes, PLATEAU_END), _first(regimes, PLATEAU)
    if test is None:
        return "too few neurons to fit"
    if end is not None and np.isfinite(end["value"]):
        axis.axvspan(end["ci_low"], end["ci_high"], color=GROUP_COLOURS["plateau"], alpha=0.15, linewidth=0)
        axis.axvline(end["value"], color=GROUP_COLOURS["plateau"], linewidth=0.9, label="fitted plateau's end")
    return _verdict(regimes, test)


def _verdict(regimes: pd.DataFrame, test: pd.Series) -> str:
    """Which plateau the test declares, with the p of both readings, from one curve's rows."""
    found = "no plateau"
    for reading, name in READING_WORDS.items():
        declared = _first(regimes, (PLATEAU[0], reading))
        if declared is not None and declared["value"] == 1:
            found = f"plateau ({name})"
    return f"{found}, p = {test['p_value']:.2g}"


def rank_influence_by_checkpoint(influence: pd.DataFrame, conditions: Sequence[str]) -> Figure:
    """Boost curves of every checkpoint on a sequential colour map, one row per model and one column per condition.

    Args:
        influence: influence tables of all checkpoints, held-out split.
        conditions: which conditions.
    """
    models = models_of(influence)
    figure, axes = panels(len(models), len(conditions), height=1.6)
    colours = mpl.colormaps["viridis"].reversed()
    norm = Normalize(0, np.log2(max(influence["step"].max(), 1) + 1))
    for model, line in zip(models, axes, strict=True):
        for condition, axis in zip(conditions, line, strict=True):
            part = influence[(influence["model"] == model) & (influence["condition"] == condition)]
            for step in sorted(part["step"].unique()):
                x, y, _ = _curve_of(part[part["step"] == step], "boost")
                axis.plot(x, y, color=colours(norm(np.log2(max(step, 0) + 1))), linewidth=0.9)
            axis.set_title(f"{model}\n{condition}, boost")
            axis.set_xlabel("ln rank")
        line[0].yaxis.set_major_locator(MaxNLocator(4, integer=True))
        label_line(line, "ln mean |ΔL| (nats)")
    bar = figure.colorbar(
        ScalarMappable(norm, colours), ax=axes, label="training step", location="bottom", aspect=40, fraction=0.04
    )
    steps = [s for s in (0, 1, 4, 16, 64, 256, 1024, 4096, 16384, 65536) if np.log2(s + 1) <= norm.vmax]
    bar.set_ticks([float(np.log2(s + 1)) for s in steps], labels=[str(s) for s in steps])
    return figure


def regimes_by_step(
    regimes: pd.DataFrame, flatness: float, excess: float, alpha: float, conditions: Sequence[str]
) -> Figure:
    """Fitted exponent, the numbers of both readings of a plateau and its end by training step, and the test's p.

    Args:
        regimes: regime tables over models and checkpoints; boost neurons and mean abs dL are drawn.
        flatness: bound below which a top counts as flat.
        excess: bound above which a top counts as an excess, a ratio.
        alpha: bound below which a departure counts.
        conditions: which conditions.
    """
    boost = regimes[regimes["group"] == "boost"]
    models = models_of(boost)
    shown = {
        POWER_LAW_EXPONENT: ("power-law exponent", 0.0),
        OF_READING["flat"]: ("top exponent /\npower-law exponent", flatness),
        OF_READING["excess"]: ("ln height over\npower law", float(np.log(excess))),
        PLATEAU_END: ("fitted plateau end\n(ln rank)", None),
        PLATEAU: ("p of a plateau", alpha),
    }
    figure, axes = panels(len(shown), len(models), height=1.15)
    for (number, (label, line_at)), line in zip(shown.items(), axes, strict=True):
        for model, axis in zip(models, line, strict=True):
            mine = boost[boost["model"] == model]
            for condition in conditions:
                part = rows_of(mine[mine["condition"] == condition], *number)
                (_draw_p if number == PLATEAU else draw_group)(axis, part, condition)
            step_axis(axis, list(mine["step"].unique()))
            if line_at is not None:
                axis.axhline(line_at, color=NULL_COLOUR, linewidth=0.7, linestyle=":")
            if axis is not axes[-1][list(line).index(axis)]:
                axis.set_xlabel("")
        label_line(line, label)
    for model, axis in zip(models, axes[0], strict=True):
        axis.set_title(f"{model}\nboost")
    legend_below(figure)
    return figure


def _draw_p(axis: Axes, test: pd.DataFrame, condition: str) -> None:
    """p-values on a logarithmic axis; filled markers where a plateau was declared."""
    test = test.sort_values("step")
    colour = colour_of(condition)
    axis.plot(test["step"], test["p_value"], color=colour, linewidth=0.9)
    for found, face in ((1, colour), (0, "white")):
        part = test[test["value"] == found]
        axis.plot(part["step"], part["p_value"], "o", markersize=3.5, color=colour, markerfacecolor=face)
    axis.set_yscale("log")


def threshold_sweep(regimes: pd.DataFrame, conditions: Sequence[str], flatness: float) -> Figure:
    """Exponent and flatness of each condition, which is what "rare" may mean, at one checkpoint per model.

    Args:
        regimes: regime tables of one checkpoint per model; boost neurons and mean abs dL are drawn.
        conditions: conditions from top to bottom; nulls among them are drawn in grey.
        flatness: bound below which a top counts as flat.
    """
    boost = regimes[regimes["group"] == "boost"]
    models = models_of(boost)
    shown = {POWER_LAW_EXPONENT: "power-law exponent", FLATNESS: "top exponent /\npower-law exponent"}
    figure, axes = plt.subplots(
        len(models),
        len(shown),
        figsize=(COLUMN_WIDTH, (0.26 * len(conditions) + 0.6) * len(models)),
        squeeze=False,
        sharey="row",
    )
    place = {condition: -number for number, condition in enumerate(conditions)}
    for model, line in zip(models, axes, strict=True):
        for (number, label), axis in zip(shown.items(), line, strict=True):
            mine = boost[(boost["model"] == model) & boost["condition"].isin(conditions)]
            numbers = rows_of(mine, *number).dropna(subset="value").set_index("condition")
            for condition in filter(numbers.index.__contains__, conditions):
                colour = NULL_COLOUR if condition.startswith("shuffled_") else colour_of(condition)
                found, y = numbers.loc[condition], place[condition]
                axis.plot([found["ci_low"], found["ci_high"]], [y, y], color=colour, linewidth=1)
                axis.plot(found["value"], y, "o", color=colour, markersize=3.5)
            axis.set_xlabel(label)
            axis.xaxis.set_major_locator(MaxNLocator(4))
            if number == FLATNESS:
                axis.axvline(flatness, color=NULL_COLOUR, linewidth=0.7, linestyle=":")
        labels = [_sweep_label(condition, mine[mine["condition"] == condition]) for condition in place]
        line[0].set_yticks(list(place.values()), labels)
        line[0].set_title(f"{model} {mine['checkpoint'].iloc[0]}, boost", loc="left")
    return figure


def _sweep_label(condition: str, regimes: pd.DataFrame) -> str:
    test = _first(regimes, PLATEAU)
    return f"{words(condition)}\n{'too few neurons' if test is None else _verdict(regimes, test)}"


def overlap_by_step(regimes: pd.DataFrame, pair: tuple[str, str], top: int) -> Figure:
    """How many of the top neurons two conditions share, compared with what each condition shares with itself.

    Args:
        regimes: regime tables over models and checkpoints; boost neurons and mean abs dL are drawn.
        pair: the two conditions.
        top: size of the tops.
    """
    boost = regimes[regimes["group"] == "boost"]
    models = models_of(boost)
    figure, axes = panels(1, len(models), height=1.9)
    for model, axis in zip(models, axes[0], strict=True):
        mine = boost[boost["model"] == model]
        both = mine[mine["condition"] == "-".join(pair)]
        draw_group(axis, rows_of(both, "overlap", top_part(top)), f"{pair[0]} and {pair[1]}, held-out")
        for condition in pair:
            part = rows_of(mine[mine["condition"] == condition], "replication", top_part(top)).sort_values("step")
            axis.plot(
                part["step"],
                part["value"],
                ":",
                color=colour_of(condition),
                label=f"{condition}, discovery and held-out",
            )
        step_axis(axis, list(mine["step"].unique()))
        axis.set_ylim(0, 1.02)
        axis.set_title(f"{model}\nboost, top {top}")
    label_line(axes[0], "share of the top in common")
    legend_below(figure, columns=1)
    return figure
