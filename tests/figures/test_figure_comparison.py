"""Effects of the authors' choices: values and verdicts in their places, changes in bold, absences a dash."""

import numpy as np
import pandas as pd
import pytest
from pictures import A, B, labelled

from rareneurons.comparison.choices import COLUMNS
from rareneurons.figures.comparison import effects_of_choices

pytestmark = pytest.mark.usefixtures("style")


def row(claim, choice, value, verdict, model=A):
    own = {"proper_value": 0.1, "proper_ci_low": 0.0, "proper_ci_high": 0.3, "proper_verdict": "undecided"}
    numbers = {"value": value, "ci_low": value - 0.1, "ci_high": value + 0.2, "verdict": verdict, "proper_n": 800}
    place = {"claim": claim, "choice": choice, "model": model, "changed": verdict != "undecided"}
    return dict.fromkeys(COLUMNS, np.nan) | own | numbers | place


def drawn():
    rows = [row(claim, "fixed cuts", 0.4, "supported", model) for claim in ("C1", "C3") for model in (A, B)]
    rows += [row("C3", "random controls", 0.6, "contradicted"), row("C3", "random controls", 0.6, "undecided", B)]
    return effects_of_choices(pd.DataFrame(rows))


def verdicts_beside(axis, figure):
    beside = next(a for a in figure.axes if a is not axis and a.bbox.bounds == axis.bbox.bounds)
    return [(text.get_text(), text.get_fontweight()) for text in beside.get_yticklabels()]


def test_a_panel_a_claim_and_model():
    figure = labelled(drawn())
    titles = [axis.get_title() for axis in figure.axes if axis.get_title()]
    assert titles == [
        *(f"C1, {A}, 800 blocks of documents", f"C1, {B}, 800 blocks of documents"),
        *(f"C3, {A}, 800 rows", f"C3, {B}, 800 rows"),
    ]
    ticks = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert ticks == ["none", "fixed cuts", "random controls"]
    assert figure.axes[2].get_xlabel() == "dimension less controls', share"
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts == ["supported", "contradicted", "undecided"]


def test_values_stand_at_their_choice_with_interval_and_verdict():
    figure = drawn()
    figure.canvas.draw()
    axis = next(axis for axis in figure.axes if axis.get_title() == f"C3, {A}, 800 rows")
    points = [(line.get_xdata()[0], line.get_ydata()[0]) for line in axis.lines if line.get_marker() in "os"]
    assert points == [(0.1, 0), (0.4, 1), (0.6, 2)]
    shapes = [(line.get_marker(), line.get_markerfacecolor()) for line in axis.lines if line.get_marker() in "os"]
    assert shapes == [("o", "white"), ("o", "black"), ("s", "black")]
    ends = [collection.get_segments()[0][:, 0].tolist() for collection in axis.collections]
    assert ends == [pytest.approx([0, 0.3]), pytest.approx([0.3, 0.6]), pytest.approx([0.5, 0.8])]
    assert verdicts_beside(axis, figure) == [("undecided", "normal"), ("supported", "bold"), ("contradicted", "bold")]
    assert axis.get_ylim() == (2.5, -0.5)


def test_a_claim_that_a_choice_does_not_touch_has_a_dash():
    figure = drawn()
    figure.canvas.draw()
    assert verdicts_beside(figure.axes[0], figure)[2] == ("–", "normal")


def test_a_claim_that_is_not_measured_is_drawn_without_a_point():
    one = row("C3", "fixed cuts", np.nan, "undecided") | {"proper_value": np.nan, "proper_n": 0}
    figure = effects_of_choices(pd.DataFrame([one]))
    figure.canvas.draw()
    assert figure.axes[0].get_title() == f"C3, {A}, 0 rows"
