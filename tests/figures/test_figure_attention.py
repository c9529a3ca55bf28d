"""Maps of heads, their concentration, single heads against layers, patterns."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.patches import Rectangle
from pictures import A, B, labelled

from rareneurons.figures.attention import concentration, head_maps, heads_and_layers, pattern_similarity
from rareneurons.tables import CheckpointName, Estimate, measure_frame

pytestmark = pytest.mark.usefixtures("style")
PAIR = ["rare", "common"]


def entry(condition, group, layer, head, measure, value, q=np.nan, n=9):
    estimate = Estimate(measure, value, "u", n, value - 0.01, value + 0.02, 0.1)
    return condition, group, layer, head, estimate, q


def frame(model, entries):
    table = measure_frame(CheckpointName(model, "step8"), [(c, g, e) for c, g, _, _, e, _ in entries])
    return table.assign(
        layer=[each[2] for each in entries], head=[each[3] for each in entries], q_value=[each[5] for each in entries]
    )


def heads(model=A, group="fixed_plateau"):
    """Two heads in two layers and, in a third, two that cannot reach; the head (1, 0) is selective."""
    entries = []
    for layer in range(3):
        for head in range(2):
            size = 0.1 + 0.1 * layer + 0.05 * head
            entries += [
                entry("rare-common", "all", layer, head, "pattern_cosine", 0.9),
                entry("rare-common", "all", layer, head, "pattern_divergence.shuffled", 0.1 + size),
                entry("rare-common", "all", layer, head, "pattern_divergence.shuffled.null_mean", 0.05),
            ]
            for condition in PAIR:
                if layer == 2:
                    entries.append(entry(condition, group, layer, head, "structurally_zero", 0.0))
                    continue
                entries += [
                    entry(condition, group, layer, head, "head_effect.mean.matched", size, n=40),
                    entry(condition, group, layer, head, "head_effect.mean.permuted.null_mean", 0.2 + size / 10),
                ]
            if layer < 2:
                q = 0.01 if (layer, head) == (1, 0) else 0.3
                entries.append(entry("rare-common", group, layer, head, "selectivity.mean", 0.05 - 0.2 * layer, q))
        if layer < 2:
            entries += [
                entry("rare", group, layer, -1, "layer_effect.mean", 0.3 + layer),
                entry("rare", group, layer, -1, "layer_effect.mean.random_sets.null_mean", 0.25),
            ]
    return frame(model, entries)


def attention(model=A, group="fixed_plateau"):
    measured = [("gini.mean.permuted", 0.31), ("gini.mean.permuted.null_mean", 0.12)]
    return frame(model, [entry(c, group, 0, 0, name, value) for c in PAIR for name, value in measured])


def test_head_maps_show_both_conditions_and_mark_differences_and_structural_zeros():
    figure = labelled(head_maps(heads(), PAIR, 0.05))
    rare, common, difference = figure.axes[:3]
    for axis, expected in ((rare, [[0.1, 0.15], [0.2, 0.25]]), (difference, [[0.05, 0.05], [-0.15, -0.15]])):
        grid = axis.images[0].get_array()
        assert grid.shape == (3, 2)
        np.testing.assert_allclose(grid[:2], expected)
        assert grid.mask[2].all()
        hatched = [patch.get_xy() for patch in axis.patches if isinstance(patch, Rectangle) and patch.get_hatch()]
        assert hatched == [(-0.5, 1.5), (0.5, 1.5)]
    assert rare.images[0].get_clim() == common.images[0].get_clim() == (0, 0.25)
    assert difference.images[0].get_clim() == pytest.approx((-0.15, 0.15))
    (marked,) = difference.lines
    assert (list(marked.get_xdata()), list(marked.get_ydata())) == ([0], [1])
    assert "fixed plateau" in rare.get_ylabel()
    assert "n = 40" in rare.get_title()


def test_plateau_is_drawn_where_there_is_one():
    both = pd.concat([heads(), heads(group="plateau")])
    assert f"{A}\nplateau" in head_maps(both, PAIR, 0.05).axes[0].get_ylabel()


def test_concentration_is_sorted_and_says_gini():
    figure = labelled(concentration(heads(), attention(), PAIR))
    line = figure.axes[0].lines[0]
    assert list(line.get_ydata()) == pytest.approx([0.25, 0.2, 0.15, 0.1])
    assert list(line.get_xdata()) == [1, 2, 3, 4]
    assert [text.get_text() for text in figure.axes[0].texts] == [
        f"{condition}: Gini 0.31\npermuted 0.12" for condition in PAIR
    ]


def test_heads_beside_layers_and_random_sets():
    figure = labelled(heads_and_layers(heads(), "rare"))
    band, single, layers = figure.axes[0].lines[0], *figure.axes[0].lines[1:3]
    assert list(band.get_ydata()) == [0.25, 0.25]
    assert len(figure.axes[0].patches) == 1
    assert list(single.get_ydata()) == pytest.approx([0.1, 0.15, 0.2, 0.25])
    assert (list(layers.get_xdata()), list(layers.get_ydata())) == ([0, 1], pytest.approx([0.3, 1.3]))


def test_patterns_of_all_heads_those_that_cannot_reach_too():
    figure = labelled(pattern_similarity(pd.concat([heads(), heads(B)]), PAIR))
    upper, _, lower, _ = figure.axes
    assert len(upper.lines[0].get_xdata()) == len(lower.lines[0].get_xdata()) == 6
    assert list(np.round(np.asarray(lower.lines[0].get_xdata(), dtype=float))) == [0, 0, 1, 1, 2, 2]
    assert len(lower.collections[0].get_segments()) == 6


@pytest.mark.parametrize("draw", [lambda t, a: head_maps(t, PAIR, 0.05), lambda t, a: concentration(t, a, PAIR)])
def test_a_model_without_a_plateau_group_is_said(draw):
    table = heads()
    figure = draw(table[table["group"] == "all"], attention())
    figure.canvas.draw()
    said = [axis.get_title() + axis.get_ylabel() for axis in figure.axes]
    assert any("no plateau group" in text for text in said)


def test_layers_without_a_plateau_group_are_said():
    table = heads()
    figure = heads_and_layers(table[table["group"] == "all"], "rare")
    figure.canvas.draw()
    assert "no plateau group" in figure.axes[0].get_title()
