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


def entry(condition, group, layer, head, measure, value, part="", against="", q=np.nan, n=9, null=np.nan):
    """A row of the table of heads; its null is a band of 0.03 around the null's mean."""
    interval = value - 0.01, value + 0.02
    beside = {"null_mean": null, "null_low": null - 0.01, "null_high": null + 0.02, "q_value": q}
    return (
        condition,
        group,
        layer,
        head,
        Estimate(measure, value, "u", n, *interval, 0.1, part=part, against=against, **beside),
    )


def frame(model, entries):
    table = measure_frame(CheckpointName(model, "step8"), [(c, g, e) for c, g, _, _, e in entries])
    return table.assign(layer=[each[2] for each in entries], head=[each[3] for each in entries])


def heads(model=A, group="top_33"):
    """Two heads in two layers and, in a third, two that cannot reach; the head (1, 0) is selective."""
    entries = []
    for layer in range(3):
        for head in range(2):
            size = 0.1 + 0.1 * layer + 0.05 * head
            entries += [
                entry("rare-common", "all", layer, head, "pattern_cosine", 0.9),
                entry("rare-common", "all", layer, head, "pattern_divergence", 0.1 + size, "", "shuffled", null=0.05),
            ]
            for condition in PAIR:
                if layer == 2:
                    entries.append(entry(condition, group, layer, head, "structurally_zero", 0.0))
                    continue
                entries += [
                    entry(condition, group, layer, head, "head_effect", size, "mean", "matched", n=40, null=7.0),
                    entry(condition, group, layer, head, "head_effect", size, "mean", "permuted", null=0.2 + size / 10),
                    entry(condition, group, layer, head, "head_effect", 8.0, "zero", "matched"),
                ]
            if layer < 2:
                q = 0.01 if (layer, head) == (1, 0) else 0.3
                entries.append(entry("rare-common", group, layer, head, "selectivity", 0.05 - 0.2 * layer, "mean", q=q))
        if layer < 2:
            entries += [
                entry("rare", group, layer, -1, "layer_effect", 0.3 + layer, "mean"),
                entry("rare", group, layer, -1, "layer_effect", 0.3 + layer, "mean", "random_sets", null=0.25),
            ]
    return frame(model, entries)


def attention(model=A, group="top_33"):
    return frame(model, [entry(c, group, 0, 0, "gini", 0.31, "mean", "permuted", null=0.12) for c in PAIR])


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
    assert "top 33" in rare.get_ylabel()
    assert "n = 40" in rare.get_title()


def test_head_maps_show_screened_effects_of_all_heads_where_there_was_a_screen():
    table = heads()
    left_out = (table["layer"] == 1) & (table["head"] == 1) & table["measure"].isin(["head_effect", "selectivity"])
    screened = [
        entry(condition, "top_33", layer, head, "screened_effect", 1.0 + layer + head / 10, "mean")
        for condition in PAIR
        for layer in range(3)
        for head in range(2)
    ]
    figure = labelled(head_maps(pd.concat([table[~left_out], frame(A, screened)]), PAIR, 0.05))
    rare, _, difference = (axis.images[0].get_array() for axis in figure.axes[:3])
    np.testing.assert_allclose(rare[:2], [[1.0, 1.1], [2.0, 2.1]])
    assert rare.mask[2].all(), "these heads cannot reach the group"
    assert difference.mask.tolist() == [[False, False], [False, True], [True, True]]
    assert "not ablated" in [text.get_text() for text in figure.legends[0].get_texts()]
    plain = labelled(head_maps(heads(), PAIR, 0.05))
    assert "not ablated" not in [text.get_text() for text in plain.legends[0].get_texts()]


def test_plateau_is_drawn_where_there_is_one():
    both = pd.concat([heads(), heads(group="plateau")])
    assert f"{A}\nplateau" in head_maps(both, PAIR, 0.05).axes[0].get_ylabel()


def test_concentration_is_sorted_and_says_gini():
    figure = labelled(concentration(heads(), attention(), PAIR))
    line = figure.axes[0].lines[0]
    assert list(line.get_ydata()) == pytest.approx([0.25, 0.2, 0.15, 0.1])
    assert list(line.get_xdata()) == [1, 2, 3, 4]
    band = figure.axes[0].collections[0].get_paths()[0].vertices
    assert (band[:, 1].min(), band[:, 1].max()) == pytest.approx((0.2 + 0.1 / 10 - 0.01, 0.2 + 0.25 / 10 + 0.02))
    assert [text.get_text() for text in figure.axes[0].texts] == [
        f"{condition}: Gini 0.31\npermuted 0.12" for condition in PAIR
    ]


def test_heads_beside_layers_and_random_sets():
    figure = labelled(heads_and_layers(heads(), "rare"))
    band, single, layers = figure.axes[0].lines[0], *figure.axes[0].lines[1:3]
    assert list(band.get_ydata()) == [0.25, 0.25]
    assert len(figure.axes[0].patches) == 1
    low, high = (
        edge(figure.axes[0].patches[0].get_extents().transformed(figure.axes[0].transData.inverted()).intervaly)
        for edge in (min, max)
    )
    assert (low, high) == pytest.approx((0.24, 0.27))
    assert list(single.get_ydata()) == pytest.approx([0.1, 0.15, 0.2, 0.25])
    assert (list(layers.get_xdata()), list(layers.get_ydata())) == ([0, 1], pytest.approx([0.3, 1.3]))


def test_patterns_of_all_heads_those_that_cannot_reach_too():
    figure = labelled(pattern_similarity(pd.concat([heads(), heads(B)]), PAIR))
    upper, _, lower, _ = figure.axes
    assert len(upper.lines[0].get_xdata()) == len(lower.lines[0].get_xdata()) == 6
    assert list(np.round(np.asarray(lower.lines[0].get_xdata(), dtype=float))) == [0, 0, 1, 1, 2, 2]
    segments = lower.collections[0].get_segments()
    assert len(segments) == 6
    assert [y for _, y in segments[0]] == pytest.approx([0.04, 0.07])


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
