"""Figures that any measure of a group can have."""

from collections.abc import Sequence

import pandas as pd
from matplotlib.figure import Figure

from rareneurons.figures.style import draw_group, frame_values, label_line, legend_below, models_of, panels, step_axis
from rareneurons.tables import rows_of


def measure_by_step(
    table: pd.DataFrame, number: Sequence[str], label: str, groups: Sequence[str], condition: str, scale: str = "linear"
) -> Figure:
    """One number of some groups by training step, with intervals and the controls' range, one panel per model.

    Args:
        table: a measure's table over models and checkpoints.
        number: measure, part, quantity and what it is compared with.
        label: axis label with unit.
        groups: which groups.
        condition: which condition.
        scale: ``linear`` or ``log``, the vertical scale.
    """
    models = models_of(table)
    figure, axes = panels(1, len(models), height=1.8)
    for model, axis in zip(models, axes[0], strict=True):
        mine = table[(table["model"] == model) & (table["condition"] == condition)]
        for group in groups:
            draw_group(axis, rows_of(mine[mine["group"] == group], *number), group)
        steps = mine["step"].unique()
        if len(steps):
            step_axis(axis, list(steps))
        axis.set_title(f"{model}\n{condition} rows")
    shown = table[(table["condition"] == condition) & table["group"].isin(groups)]
    axes[0][0].set_yscale(scale)
    frame_values(axes[0][0], rows_of(shown, *number))
    label_line(axes[0], label)
    legend_below(figure)
    return figure
