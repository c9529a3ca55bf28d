"""The final top neurons through training, turnover, and the course of the main measures."""

import numpy as np
import pandas as pd
import pytest
from pictures import A, labelled, measures

from rareneurons.dynamics.rise import rise_at
from rareneurons.figures.dynamics import CoursePanels, course_of_training, final_top_and_turnover

pytestmark = pytest.mark.usefixtures("style")
STEPS = [0, 4, 16]


def final(group, n, entered):
    records = [
        (A, step, group, 70 - rank, rank, rank / 10, True, entered) for step in STEPS for rank in range(1, n + 1)
    ]
    names = ["model", "step", "group", "neuron", "final_rank", "rank_fraction", "in_top", "entered"]
    return pd.DataFrame(records, columns=names)


def test_heat_map_entries_and_turnover_of_each_model():
    dynamics = pd.DataFrame(
        [
            (A, f"step{step}", step, condition, "boost", measure, "top_33", "value", 0.5)
            for step in STEPS
            for condition in ("rare", "common")
            for measure in ("kept", "kept_on_same_checkpoint")
        ],
        columns=["model", "checkpoint", "step", "condition", "group", "measure", "part", "quantity", "value"],
    )
    ranks = pd.concat([final("plateau", 3, 0.0), final("top_33", 5, 4.0)])
    ranks.loc[(ranks["group"] == "top_33") & (ranks["final_rank"] == 2), "entered"] = np.nan
    figure = labelled(final_top_and_turnover(ranks, dynamics, ["rare", "common"], 33))
    grid = figure.axes[0].collections[0].get_array()
    np.testing.assert_allclose(np.asarray(grid).reshape(5, 3)[:, 0], np.arange(1, 6) / 10)
    assert "top 33, n = 5" in figure.axes[0].get_title()
    dots = figure.axes[0].lines[0]
    assert set(dots.get_xdata()) == {1.5}
    assert dots.get_ydata().tolist() == [0.5, 2.5, 3.5, 4.5]
    assert len(figure.axes[1].lines) == 5
    entries = next(line for line in figure.axes[1].lines if "final top neurons" in line.get_label())
    assert entries.get_ydata().tolist() == [0, 0.8, 0.8]


def test_course_has_a_row_per_measure_and_marks_what_is_tracked_backwards():
    curve = measures("exponent", groups=("boost",), conditions=("rare", "common"))
    groups = measures("hill", groups=("top_33", "final_top_33"))
    courses = [
        CoursePanels(curve, ("exponent",), "exponent", ["rare", "common"], ["boost"]),
        CoursePanels(groups, ("hill",), "Hill exponent", ["rare"], ["top_33", "final_top_33"], True),
    ]
    figure = labelled(course_of_training(courses))
    assert [figure.axes[row].get_ylabel() for row in (0, 2)] == ["exponent", "Hill exponent"]
    assert len(figure.axes) == 4
    assert {line.get_label() for line in figure.axes[0].lines} >= {"rare rows", "common rows"}
    lines = {line.get_label(): line for line in figure.axes[2].lines}
    assert lines["top 33, final neurons"].get_linestyle() == "--"
    assert lines["top 33"].get_linestyle() == "-"
    assert [label for label in lines if label.startswith("matched")] == ["matched groups"]
    assert figure.axes[2].get_yscale() == "log"
    assert figure.axes[0].get_yscale() == "linear"
    assert figure.axes[2].get_xlabel() == "training step"


def test_a_fitted_rise_is_drawn_with_its_middle_half_and_its_width():
    steps = np.array([0, 1, 16])
    selectivity = measures("delta_loss", ("top_33",), ("rare-common",), "matched_rows", "matched")
    number = {"model": A, "condition": "rare-common", "group": "top_33", "measure": "delta_loss"}
    number |= {"part": "matched_rows", "against": "matched", "step": 16}
    rise = {"width": 1.0, "centre": 4.0, "base": 0.5, "height": 0.2, "scatter": 0.01}
    rows = [number | {"quantity": f"rise_{name}", "value": value} for name, value in rise.items()]
    dynamics = pd.DataFrame(rows).assign(ci_low=0.5, ci_high=2.0)
    panels = CoursePanels(
        selectivity,
        ("delta_loss", "matched_rows", "value", "matched"),
        "selectivity",
        ["rare-common"],
        ["top_33"],
        dynamics=dynamics,
    )
    figure = labelled(course_of_training([panels]))
    curve = next(line for line in figure.axes[0].lines if line.get_label() == "fitted rise")
    assert np.interp(4.0, *curve.get_data()) == pytest.approx(0.6, abs=0.005)
    assert np.interp(steps, *curve.get_data()) == pytest.approx(rise_at(steps, 0.5, 0.2, np.log(5), 1.0), abs=0.002)
    middle = next(patch for patch in figure.axes[0].patches if patch.get_label() == "middle half of the fitted rise")
    ends = middle.get_x(), middle.get_x() + middle.get_width()
    assert ends == pytest.approx((5 * np.exp(-0.5) - 1, 5 * np.exp(0.5) - 1))
    assert figure.axes[0].texts[0].get_text() == "width 1\n(0.5 to 2)"
    assert not figure.axes[1].patches, "the other model has no fitted rise"


def test_course_of_a_release_has_a_bar_where_a_band_has_no_width():
    release = measures("d", groups=("boost",)).query("step == 0").assign(step=-1)
    figure = course_of_training([CoursePanels(release, ("d",), "d", ["rare"], ["boost"])])
    bars = [found for found in figure.axes[0].collections if type(found).__name__ == "LineCollection"]
    assert bars[0].get_segments()[0].tolist() == [[-1, 0.4], [-1, 0.8]]
    assert [text.get_text() for text in figure.axes[0].get_xticklabels()] == ["main"]
