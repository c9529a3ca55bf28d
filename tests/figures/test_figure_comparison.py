"""Effects of the authors' choices: values and verdicts in their places, changes shaded."""

import numpy as np
import pandas as pd
import pytest
from pictures import A, B

from rareneurons.comparison.choices import COLUMNS
from rareneurons.figures.comparison import effects_of_choices, firmness

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


def shaded(axis):
    return sorted((patch.get_y(), patch.get_y() + patch.get_height()) for patch in axis.patches)


def test_a_row_a_claim_and_a_column_a_model():
    figure = drawn()
    figure.canvas.draw()
    assert [axis.get_title() for axis in figure.axes] == [A, B, A, B]
    assert [axis.get_ylabel() for axis in figure.axes] == ["C1, choice", "", "C3, choice", ""]
    ticks = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert ticks == ["none", "fixed cuts", "random controls"]
    assert figure.axes[2].get_xlabel() == "relative dimension"
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts == ["supported", "contradicted", "undecided", "another verdict"]


def test_values_stand_at_their_choice_with_interval_and_verdict():
    figure = drawn()
    axis = figure.axes[2]
    points = [(line.get_xdata()[0], line.get_ydata()[0]) for line in axis.lines if line.get_marker() in "os"]
    assert points == [(0.1, 0), (0.4, 1), (0.6, 2)]
    shapes = [(line.get_marker(), line.get_markerfacecolor()) for line in axis.lines if line.get_marker() in "os"]
    assert shapes == [("o", "white"), ("o", "black"), ("s", "black")]
    ends = [collection.get_segments()[0][:, 0].tolist() for collection in axis.collections]
    assert ends == [pytest.approx([0, 0.3]), pytest.approx([0.3, 0.6]), pytest.approx([0.5, 0.8])]
    assert axis.get_ylim() == (2.5, -0.5)


def test_other_verdicts_than_the_run_s_own_are_shaded():
    axes = drawn().axes
    assert shaded(axes[2]) == [(0.5, 1.5), (1.5, 2.5)]
    assert shaded(axes[3]) == [(0.5, 1.5)]


def test_a_claim_that_is_not_measured_is_drawn_without_a_point():
    one = row("C3", "fixed cuts", np.nan, "undecided") | {"proper_value": np.nan, "proper_n": 0}
    figure = effects_of_choices(pd.DataFrame([one]))
    figure.canvas.draw()
    assert figure.axes[0].get_title() == A


def firmness_rows():
    rows = [("C1", "own", "supported", 0.31, False), ("C1", "x", "undecided", -0.00077, True)]
    rows += [("C8", "own", "contradicted", np.nan, False), ("C8", "x", "not computed", np.nan, False)]
    columns = ["claim", "choice", "verdict", "value", "changed"]
    return pd.concat([pd.DataFrame(rows, columns=columns).assign(model=model) for model in (A, B)])


def test_firmness_is_a_matrix_of_claims_and_choices_per_model():
    figure = firmness(firmness_rows())
    figure.canvas.draw()
    assert [axis.get_title() for axis in figure.axes] == [A, B]
    axis = figure.axes[0]
    assert [text.get_text() for text in axis.get_yticklabels()] == ["C1", "C8"]
    assert [text.get_text() for text in figure.axes[1].get_xticklabels()] == ["own", "x"]
    cells = {text.get_position(): text.get_text() for text in axis.texts}
    assert cells == {(0, 0): "+\n0.31", (1, 0): "?\n-8e-04", (0, 1): "×", (1, 1): "·"}
    thick = [patch.get_xy() for patch in axis.patches if patch.get_linewidth() > 1]
    assert thick == [pytest.approx((0.55, -0.45))]
    colours = {patch.get_facecolor() for patch in axis.patches}
    assert len(colours) == 4, "each verdict has a colour of its own"
