"""Joint ablation: what C8 compares, change of loss against the number of neurons, clean loss by token frequency."""

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rareneurons.conventions import SELECTIVE, TOP
from rareneurons.dynamics.untrained import UNTRAINED
from rareneurons.figures.palette import NULL_COLOUR, NULL_COLOURS, colour_of, group_colour
from rareneurons.figures.style import label_line, legend_below, models_of, panels
from rareneurons.tables import DIFFERENCE, EXCESS, VALUE, last_checkpoints

MOST_LINES = 6
BEYOND = ("matched", "shuffled", UNTRAINED)
SELECTIVITY_OF = {TOP: -0.15, SELECTIVE: 0.15}  # group -> shift in its row
DOSE = r"dose_(?P<dose>\d+)"


def dose_curves(table: pd.DataFrame, conditions: Sequence[str]) -> Figure:
    """Change of loss when the first k neurons are ablated at once, against k, at the last checkpoints.

    One row per model, one column per condition.

    Args:
        table: the table of joint ablation over models and checkpoints.
        conditions: both conditions.
    """
    last = last_checkpoints(table)
    last = last[(last["measure"] == "delta_loss") & (last["quantity"] == VALUE)]
    doses = last.assign(dose=pd.to_numeric(last["part"].str.extract(rf"^{DOSE}$")["dose"])).dropna(subset="dose")
    models = models_of(table)
    figure, axes = panels(len(models), len(conditions), height=1.35)
    for model, line in zip(models, axes, strict=True):
        for condition, axis in zip(conditions, line, strict=True):
            mine = doses[(doses["model"] == model) & (doses["condition"] == condition)].sort_values("dose")
            _draw_doses(axis, mine, colour_of(condition))
            axis.set_title(f"{model}\n{condition} rows")
        label_line(line, "change of loss (nats)")
    legend_below(figure)
    return figure


def _draw_doses(axis: Axes, doses: pd.DataFrame, colour: str) -> None:
    axis.axhline(0, color=NULL_COLOUR, linewidth=0.6)
    for kind, null in doses[doses["null_mean"].notna()].groupby("against"):
        colour_of_null = NULL_COLOURS.get(str(kind), NULL_COLOUR)
        bounds = null["null_low"].to_numpy(), null["null_high"].to_numpy()
        axis.fill_between(null["dose"], *bounds, color=colour_of_null, alpha=0.2, linewidth=0)
        axis.plot(null["dose"], null["null_mean"], "--", color=colour_of_null, label=f"{kind} neurons")
    own = doses.drop_duplicates("dose")
    error = np.clip([own["value"] - own["ci_low"], own["ci_high"] - own["value"]], 0, None)
    axis.errorbar(
        own["dose"], own["value"], yerr=np.nan_to_num(error), color=colour, marker="o", markersize=2.5, capsize=1.5
    )
    if len(own):
        axis.set_xscale("log")
        axis.set_xticks(own["dose"], [f"{dose:.0f}" for dose in own["dose"]])
        axis.minorticks_off()
    axis.set_xlabel("neurons ablated at once")


def selectivity(joint: pd.DataFrame, dynamics: pd.DataFrame, conditions: Sequence[str], margin: float) -> Figure:
    """How much more each group matters for the first condition at equal clean loss, and beyond what; a panel per model.

    Args:
        joint: the table of joint ablation over models and checkpoints.
        dynamics: the table of that name, for what is beyond the untrained model.
        conditions: both conditions.
        margin: smallest excess that matters, nats.
    """
    last = last_checkpoints(pd.concat([joint, dynamics[dynamics["against"] == UNTRAINED]], ignore_index=True))
    here = (last["condition"] == "-".join(conditions)) & (last["part"] == "matched_rows")
    found = last[here & (last["measure"] == "delta_loss") & last["group"].isin(SELECTIVITY_OF)]
    models = models_of(joint)
    figure, axes = panels(1, len(models), height=1.9)
    for model, axis in zip(models, axes[0], strict=True):
        _draw_selectivity(axis, found[found["model"] == model], conditions)
        axis.axvline(margin, color=NULL_COLOUR, linewidth=0.6, linestyle=":")
        axis.set_title(model)
        axis.set_xlabel("change of loss (nats)")
    legend_below(figure)
    return figure


def _draw_selectivity(axis: Axes, found: pd.DataFrame, conditions: Sequence[str]) -> None:
    names = {DIFFERENCE: f"{conditions[0]} less {conditions[1]}"} | {kind: f"beyond {kind}" for kind in BEYOND}
    axis.axvline(0, color=NULL_COLOUR, linewidth=0.6)
    for group, shift in SELECTIVITY_OF.items():
        mine = found[found["group"] == group]
        whole = mine[mine["quantity"] == DIFFERENCE].drop_duplicates("quantity").assign(against=DIFFERENCE)
        mine = pd.concat([whole, mine[mine["quantity"] == EXCESS]]).set_index("against").reindex(list(names))
        value, low, high = mine[["value", "ci_low", "ci_high"]].to_numpy(dtype=float).T
        error = np.clip(np.nan_to_num([value - low, high - value]), 0, None)
        places, label = np.arange(len(names)) + shift, group.replace("_", " ")
        axis.errorbar(value, places, xerr=error, fmt="o", color=group_colour(group), label=label, markersize=3)
    axis.set_yticks(np.arange(len(names)), list(names.values()))
    axis.set_ylim(len(names) - 0.5, -0.5)


def loss_by_frequency(table: pd.DataFrame, conditions: Sequence[str]) -> Figure:
    """Clean loss of each tenth of the frequency scale, one line per checkpoint, one panel per model.

    Of more than ``MOST_LINES`` checkpoints, that many are drawn, evenly spaced in the list.

    Args:
        table: the table of the same name over models and checkpoints.
        conditions: both conditions, which are drawn at the last checkpoint over their ranges of rank fraction.
    """
    models = models_of(table)
    figure, axes = panels(1, len(models), height=2.0)
    every = sorted(table["step"].unique())
    steps = [every[place] for place in np.unique(np.linspace(0, len(every) - 1, MOST_LINES).round().astype(int))]
    colours = dict(zip(steps, mpl.colormaps["viridis_r"](np.linspace(0.05, 1, len(steps))), strict=True))
    tenths = table[table["band"].str.startswith("tenth_") & table["loss"].notna() & table["step"].isin(steps)]
    for model, axis in zip(models, axes[0], strict=True):
        for step, mine in tenths[tenths["model"] == model].groupby("step"):
            middle = (mine["rank_fraction_low"] + mine["rank_fraction_high"]) / 2
            colour, checkpoint = colours[step], mine["checkpoint"].iloc[0]
            axis.plot(middle, mine["loss"], "o-", color=colour, markersize=2, label=checkpoint)
            axis.fill_between(middle, mine["ci_low"], mine["ci_high"], color=colour, alpha=0.2, linewidth=0)
        last = last_checkpoints(table[table["model"] == model]).set_index("band")
        for condition in conditions:
            band = last.loc[condition]
            ends = [band["rank_fraction_low"], band["rank_fraction_high"]]
            axis.plot(ends, [band["loss"]] * 2, color=colour_of(condition), linewidth=2, label=f"{condition} rows")
        axis.set_xlim(0, 1)
        axis.set_title(model)
        axis.set_xlabel("rank fraction of the target")
    label_line(axes[0], "clean loss (nats)")
    legend_below(figure, columns=3)
    return figure
