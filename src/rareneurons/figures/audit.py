"""Figure of the checkpoint audit."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rareneurons.figures.style import label_line, legend_below, models_of, panels, step_axis

LINES = {
    "distance_to_previous": ("#000000", "o-", "to the checkpoint before"),
    "distance_to_last": ("#888888", "s--", "to the last checkpoint"),
}
FINDINGS = {"duplicate": "D", "mixed": "d", "outlier": "X", "misplaced": "P", "unrelated": "*", "missing": "v"}
FINDING_COLOUR = "#AA3377"


def checkpoint_distances(audit: pd.DataFrame) -> Figure:
    """Distance of each checkpoint's weights to the one before and to the last, with the audit's findings marked.

    Args:
        audit: the audit table. Models with fewer than two training steps are left out; findings without a distance
            are drawn at zero.
    """
    several = audit[audit["step"] >= 0].groupby("model", sort=False).filter(lambda part: len(part) > 1)
    models = models_of(several)
    figure, axes = panels(1, len(models), height=1.7)
    for axis, model in zip(axes[0], models, strict=True):
        mine = several[several["model"] == model].sort_values("step")
        _draw(axis, mine)
        axis.set_title(f"{model}\nn = {len(mine)} checkpoints")
        step_axis(axis, mine["step"].tolist())
        axis.set_xlim(-0.4, 1.5 * max(mine["step"]))
    axes[0][0].set_ylim(-0.04, 1.05 * np.nan_to_num(several[list(LINES)].to_numpy(), nan=0.1).max())
    label_line(axes[0], "distance of weights\n(share of last norm)")
    legend_below(figure)
    return figure


def _draw(axis: Axes, audit: pd.DataFrame) -> None:
    for column, (colour, line, label) in LINES.items():
        known = audit[audit[column].notna()]
        axis.plot(known["step"], known[column], line, color=colour, markersize=2.5, label=label)
    for finding, marker in FINDINGS.items():
        part = audit[audit["finding"] == finding]
        if len(part):
            height = part["distance_to_last"].fillna(0)
            axis.scatter(part["step"], height, marker=marker, s=28, color=FINDING_COLOUR, zorder=3, label=finding)
