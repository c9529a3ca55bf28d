"""What all figures share: panels a column wide, one legend, colours."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from rareneurons.figures import palette, style

pytestmark = pytest.mark.usefixtures("style")


def test_columns_beyond_two_go_below_as_a_block():
    figure, axes = style.panels(2, 5, height=1.0)
    style.label_line(axes[1], "y")
    figure.canvas.draw()
    assert tuple(figure.get_size_inches()) == (style.COLUMN_WIDTH, 6.0)
    places = np.array([[axis.get_position().bounds[:2] for axis in line] for line in axes]).round(3)
    assert (places[:, 0::2, 0] == places[0, 0, 0]).all()
    assert (places[:, 1::2, 0] == places[0, 1, 0]).all()
    assert places[0, 0, 1] > places[1, 0, 1] > places[0, 2, 1] > places[1, 2, 1] > places[0, 4, 1]
    assert [axis.get_ylabel() for axis in axes[1]] == ["y", "", "y", "", "y"]
    axes[0, 4].set_ylim(0, 7)
    assert axes[0, 1].get_ylim() == (0, 7) != axes[1, 1].get_ylim()


def test_panels_can_have_scales_of_their_own():
    _, axes = style.panels(1, 2, shared=False)
    axes[0, 1].set_ylim(0, 7)
    assert axes[0, 0].get_ylim() != (0, 7)


def test_legend_has_each_text_once_and_given_handles_win():
    figure, axes = style.panels(1, 2)
    for axis in axes[0]:
        axis.plot([0, 1], color="red", label="same")
        axis.plot([0, 1], color="blue", label="other")
    (black,) = plt.plot([], [], color="black")
    style.legend_below(figure, {"same": black})
    legend = figure.legends[0]
    assert [text.get_text() for text in legend.get_texts()] == ["same", "other"]
    assert [line.get_color() for line in legend.get_lines()] == ["black", "blue"]


def test_fixed_regimes_have_their_twins_colour_but_for_the_plateau():
    assert palette.group_colour("fixed_decay") == palette.group_colour("decay")
    assert palette.group_colour("fixed_suppress_plateau") == palette.group_colour("suppress_plateau")
    assert palette.group_colour("top_33") != palette.group_colour("plateau")
    assert palette.group_colour("anything") == palette.UNKNOWN_COLOUR


def test_no_two_of_conditions_and_groups_share_a_colour():
    colours = [*palette.CONDITION_COLOURS.values(), *palette.GROUP_COLOURS.values(), *palette.NULL_COLOURS.values()]
    assert len(set(colours)) == len(colours)
