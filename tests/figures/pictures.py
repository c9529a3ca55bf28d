"""Tables that figures are drawn from, and what every figure must have."""

from itertools import combinations

import pandas as pd
from matplotlib.text import Text

from rareneurons.figures.style import COLUMN_WIDTH, SMALLEST_TEXT
from rareneurons.tables import CheckpointName, Estimate, measure_frame

A, B = "pythia-1.4b-deduped", "pythia-2.8b-deduped"  # models' names are as long as this


def measures(name="d", groups=("plateau",), conditions=("rare",), part="", against="random"):
    null = {"against": against, "null_mean": 0.4, "null_low": 0.3, "null_high": 0.5, "null_n": 20}
    return pd.concat(
        [
            measure_frame(
                CheckpointName(model, f"step{step}"),
                [
                    (condition, group, Estimate(name, 0.5 + step / 100, "u", 9, 0.4, 0.8, 0.1, part=part, **null))
                    for condition in conditions
                    for group in groups
                ],
            )
            for model in (A, B)
            for step in (0, 1, 16)
        ]
    )


def labelled(figure):
    """The figure, drawn; what it shows has names that can be read in a column of 85 mm."""
    figure.canvas.draw()
    assert figure.get_figwidth() == COLUMN_WIDTH == round(85 / 25.4, 2)
    for axis in figure.axes:
        beside, twins = (shared.get_siblings(axis) for shared in (axis.get_shared_y_axes(), axis.get_shared_x_axes()))
        names = [other.get_ylabel() for other in beside] + [other.get_xlabel() for other in twins]
        assert any(names) or not axis.axison
    texts = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]
    assert texts
    for text in texts:
        assert text.get_fontsize() >= SMALLEST_TEXT, text
    titles = [title for axis in figure.axes for title in (axis.title, axis._left_title) if title.get_text()]
    names = [name for axis in figure.axes if axis.axison for name in (axis.xaxis.label, axis.yaxis.label)]
    legends = [text for legend in figure.legends for text in legend.get_texts()]
    for text in [*titles, *(name for name in names if name.get_text()), *legends]:
        box = text.get_window_extent()
        inside = figure.bbox.padded(2)
        assert inside.contains(box.x0, box.y0), f"{text} leaves the figure"
        assert inside.contains(box.x1, box.y1), f"{text} leaves the figure"
    for one, other in combinations(titles, 2):
        assert not one.get_window_extent().overlaps(other.get_window_extent()), f"{one} covers {other}"
    return figure
