"""Effective dimension against its controls, by training step and by number of rows."""

import pandas as pd
import pytest
from pictures import A, B, labelled

from rareneurons.figures.coordination import dimension_by_rows, dimension_by_step
from rareneurons.tables import CheckpointName, Estimate, measure_frame

pytestmark = pytest.mark.usefixtures("style")
GROUPS = ["plateau", "suppress_plateau"]


def table():
    """Plateau neurons only, of two models at three steps; significant at the last."""
    frames = []
    for model in (A, B):
        for step in (0, 1, 16):
            estimates = []
            for kind, mean in (("random", 0.8), ("matched", 0.7)):
                null = {"null_mean": mean, "null_low": mean - 0.1, "null_high": mean + 0.1, "null_n": 20}
                null["against"] = kind
                p_value = 0.03 if step == 16 or (step == 1 and kind == "random") else 0.2
                estimates.append(Estimate("effective_dimension", 0.6, "u", 80, 0.5, 0.62, p_value, **null))
                for rows in (10, 20, 40):
                    part = f"rows_{rows}"
                    value = 0.5 + rows / 1000
                    estimates.append(Estimate("effective_dimension", value, "u", rows, part=part, **null))
                # Neither belongs into a figure of the activations' dimension.
                estimates.append(Estimate("effective_dimension", 0.9, "u", 16, part="w_out", **null))
            gap = Estimate("effective_dimension", -0.1, "u", 80, quantity="difference", against="matched")
            estimates.append(gap)
            frame = measure_frame(CheckpointName(model, f"step{step}"), [("rare", "plateau", e) for e in estimates])
            frames.append(frame)
    return pd.concat(frames)


def lines(axis):
    return [(list(map(float, line.get_xdata())), list(map(float, line.get_ydata()))) for line in axis.lines]


def test_by_step_shows_both_nulls_and_fills_what_is_significant():
    figure = labelled(dimension_by_step(table(), GROUPS, "rare", 0.05))
    assert [axis.get_ylabel() for axis in figure.axes] == ["effective dim. / n", ""] * 2
    assert [axis.get_xlabel() for axis in figure.axes] == ["", "", "training step", "training step"]
    drawn = lines(figure.axes[0])
    assert drawn[:2] == [([0, 1, 16], [0.8] * 3), ([0, 1, 16], [0.7] * 3)]
    filled = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
    assert [list(line.get_xdata()) for line in filled] == [[16], [0, 1]]
    assert filled[1].get_markerfacecolor() == "white"
    assert [text.get_text() for text in figure.axes[2].texts] == ["no such group"]
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts == ["group, p ≤ 0.05", "group, p > 0.05", "random groups", "matched groups"]


def test_by_rows_has_a_place_for_every_part_and_all_rows():
    figure = labelled(
        dimension_by_rows(table(), GROUPS, "rare")
    )  # a panel without a group must not need a logarithm of nothing
    assert [axis.get_xlabel() for axis in figure.axes] == ["", "", "rare rows", "rare rows"]
    rows = [10, 20, 40, 80]
    assert lines(figure.axes[0]) == [
        (rows, [0.8] * 4),
        (rows, [0.7] * 4),
        (rows, pytest.approx([0.51, 0.52, 0.54, 0.6])),
    ]
    assert [tick.get_text() for tick in figure.axes[0].get_xticklabels()] == ["10", "20", "40", "80"]
    assert [text.get_text() for text in figure.axes[2].texts] == ["no such group"]


def test_one_checkpoint_has_its_nulls_across_the_panel():
    one = table()
    figure = dimension_by_step(
        one[(one["step"] == 16) & (one["model"] == A)].assign(step=-1), ["plateau"], "rare", 0.05
    )
    figure.canvas.draw()
    axis = figure.axes[0]
    assert [axis.get_xticklabels()[0].get_text(), axis.get_xlabel()] == ["main", "checkpoint"]
    assert lines(axis)[:2] == [([0, 1], [0.8, 0.8]), ([0, 1], [0.7, 0.7])]
    assert len(axis.patches) == 2
