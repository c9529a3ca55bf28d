"""Figures of joint ablation draw what their tables say, also where a table says little."""

import numpy as np
import pandas as pd
import pytest

from rareneurons.figures.joint import MOST_LINES, dose_curves, loss_by_frequency, selectivity
from rareneurons.tables import MEASURE_COLUMNS

pytestmark = pytest.mark.usefixtures("style")
PAIR = ["rare", "common"]


def effects(model="m", step=8, doses=(1, 3, 10), with_null=(1, 3)):
    """Doses of both conditions, and a whole group that is no dose."""
    records = []
    for condition in PAIR:
        for dose in (*doses, 0):
            low, high = (0.1 * dose, 0.2 * dose) if dose in with_null else (np.nan, np.nan)
            records.append(
                {
                    "model": model,
                    "checkpoint": f"step{step}",
                    "step": step,
                    "condition": condition,
                    "group": "top_33",
                    "measure": "delta_loss",
                    "part": f"dose_{dose}" if dose else "",
                    "quantity": "value",
                    "against": "matched" if dose in with_null else "",
                    "value": dose * (2.0 if condition == "rare" else 1.0),
                    "ci_low": dose * 0.5,
                    "ci_high": dose * 3.0,
                    "null_mean": (low + high) / 2,
                    "null_low": low,
                    "null_high": high,
                }
            )
    return pd.DataFrame(records, columns=MEASURE_COLUMNS)


def test_dose_curves_show_doses_of_the_last_checkpoint():
    table = pd.concat([effects(step=4, doses=(1, 100)), effects()])
    figure = dose_curves(table, PAIR)
    for axis, slope in zip(figure.axes, (2, 1), strict=True):
        curve = next(line for line in axis.lines if len(line.get_xdata()) == 3)
        assert list(curve.get_xdata()) == [1, 3, 10]
        assert list(curve.get_ydata()) == [slope, 3 * slope, 10 * slope]
        null = next(line for line in axis.lines if line.get_label() == "matched neurons")
        np.testing.assert_allclose(null.get_ydata(), [0.15, 0.45])
    assert [axis.get_title() for axis in figure.axes] == ["m\nrare rows", "m\ncommon rows"]
    assert figure.axes[0].get_ylim() == figure.axes[1].get_ylim()


def test_dose_curves_without_doses_are_empty():
    table = effects()
    figure = dose_curves(table[table["part"] == ""], PAIR)
    assert len(figure.axes) == 2


def compared(model, **excess):
    """Excess of the top neurons on matched rows, by what it is over, and the difference itself."""
    names = {"checkpoint": "step8", "step": 8, "condition": "rare-common", "group": "top_33", "measure": "delta_loss"}
    records = [
        names
        | {"model": model, "part": "matched_rows", "quantity": quantity, "against": against}
        | {"value": value, "ci_low": value - 0.1, "ci_high": value + 0.2}
        for against, value in excess.items()
        for quantity in (("difference", "excess") if against == "matched" else ("excess",))
    ]
    return pd.DataFrame(records, columns=MEASURE_COLUMNS)


def test_selectivity_shows_the_difference_and_what_it_exceeds():
    joint, dynamics = compared("m", matched=0.3, shuffled=0.1), compared("m", untrained=0.2)
    figure = selectivity(joint, dynamics, PAIR, 0.02)
    (axis,) = figure.axes
    assert [label.get_text() for label in axis.get_yticklabels()] == [
        "rare less common",
        "beyond matched",
        "beyond shuffled",
        "beyond untrained",
    ]
    points = axis.containers[0].lines[0]
    np.testing.assert_allclose(points.get_xdata(), [0.3, 0.3, 0.1, 0.2])
    assert [each.get_label() for each in axis.containers] == ["top 33", "selective 33"]


def test_selectivity_of_a_run_without_an_untrained_checkpoint():
    figure = selectivity(compared("m", matched=0.3), pd.DataFrame(columns=MEASURE_COLUMNS), PAIR, 0.02)
    np.testing.assert_array_equal(
        np.isnan(figure.axes[0].containers[0].lines[0].get_xdata()), [False, False, True, True]
    )


def losses(steps, model="m"):
    bands = [(f"tenth_{k}", (k - 1) / 10, k / 10, float(k)) for k in range(1, 11)]
    bands += [("rare", 0.2, 0.8, 6.0), ("common", 0.0, 0.15, 2.0)]
    records = [
        (model, f"step{step}", step, *band, band[3] - 0.5, band[3] + 0.5, 20, 5, "nats")
        for step in steps
        for band in bands
    ]
    names = "model checkpoint step band rank_fraction_low rank_fraction_high loss ci_low ci_high n n_documents unit"
    return pd.DataFrame(records, columns=names.split())


def test_loss_by_frequency_shows_tenths_and_conditions():
    figure = loss_by_frequency(losses([0, 8]), PAIR)
    lines = {line.get_label(): line for line in figure.axes[0].lines}
    assert set(lines) == {"step0", "step8", "rare rows", "common rows"}
    np.testing.assert_allclose(lines["step8"].get_xdata(), np.arange(0.05, 1, 0.1))
    assert list(lines["rare rows"].get_ydata()) == [6.0, 6.0]


def test_loss_by_frequency_of_many_checkpoints_shows_the_first_the_last_and_some_between():
    figure = loss_by_frequency(losses(range(0, 154)), PAIR)
    drawn = [line.get_label() for line in figure.axes[0].lines if line.get_label().startswith("step")]
    assert len(drawn) == MOST_LINES
    assert (drawn[0], drawn[-1]) == ("step0", "step153")


def test_loss_by_frequency_of_a_release_and_an_empty_tenth():
    table = losses([-1]).assign(checkpoint="main")
    table.loc[table["band"] == "tenth_10", "loss"] = np.nan
    figure = loss_by_frequency(table, PAIR)
    main = next(line for line in figure.axes[0].lines if line.get_label() == "main")
    assert len(main.get_xdata()) == 9
