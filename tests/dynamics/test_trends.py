"""Trends over checkpoints, changes and the rises fitted to them, and the first step with a plateau."""

import numpy as np
import pandas as pd
import pytest

from rareneurons.dynamics.rise import rise_at
from rareneurons.dynamics.trends import SERIES_KEYS, first_plateau_steps, measure_trends
from rareneurons.tables import MEASURE_COLUMNS, CheckpointName, Estimate, last_checkpoints, measure_frame

STEPS = [0, 1, 2, 4, 8, 16]
NO_DRAWS = pd.DataFrame(columns=[*SERIES_KEYS, "step", "draws"])


def table(values, model="m", checkpoints=STEPS, against="matched", quantity="value"):
    return pd.concat(
        [
            measure_frame(
                CheckpointName(model, f"step{step}" if isinstance(step, int) else step),
                [("rare", "plateau", Estimate("d", v, "u", 9, null_mean=1.0, against=against, quantity=quantity))],
            )
            for step, v in zip(checkpoints, values, strict=True)
        ]
    )


def test_growth_is_a_trend(rng):
    found = measure_trends([table([1, 2, 3, 4, 5, 6])], NO_DRAWS, 500, rng)
    assert list(found.columns) == MEASURE_COLUMNS
    assert found[["measure", "part", "quantity", "against"]].to_numpy().tolist() == [["d", "", "trend", "matched"]]
    row = found.iloc[0]
    assert row["value"] == pytest.approx(1)
    assert row["p_value"] < 0.02
    assert (row["n"], row["step"], row["checkpoint"]) == (6, 16, "all")


def test_too_few_or_stepless_checkpoints_have_no_trend(rng):
    assert measure_trends([table([1, 2, 3], checkpoints=[0, 1, 2])], NO_DRAWS, 10, rng).empty
    assert measure_trends([table([1.0], checkpoints=["main"])], NO_DRAWS, 10, rng).empty
    assert measure_trends([table([1, 2, np.nan, np.nan, np.nan, 3])], NO_DRAWS, 10, rng).empty


def test_last_checkpoint_by_step_not_by_name():
    both = pd.concat([table([1] * 6), table([1.0], model="other", checkpoints=["main"])])
    last = last_checkpoints(both)
    assert set(zip(last["model"], last["checkpoint"], strict=True)) == {("m", "step16"), ("other", "main")}


def draws_of(values: np.ndarray, quantity: str = "value", against: str = "", steps=STEPS) -> pd.DataFrame:
    """Draws (draws, steps) of a number of the plateau."""
    keys = dict(zip(SERIES_KEYS, ("m", "rare", "plateau", "d", "", quantity, against), strict=True))
    return pd.DataFrame([keys | {"step": step, "draws": column} for step, column in zip(steps, values.T, strict=True)])


def found_for(values: list[float], draws: np.ndarray, rng: np.random.Generator) -> pd.DataFrame:
    found = measure_trends([table(values)], draws_of(draws), 200, rng)
    assert found["quantity"].is_unique
    return found.set_index("quantity")


@pytest.mark.calibration
def test_interval_of_a_trend_excludes_zero_where_documents_agree_and_not_where_they_do_not(rng):
    row = found_for(range(6), np.arange(6) + 0.3 * rng.normal(size=(200, 6)), rng).loc["trend"]
    assert 0.8 < row["ci_low"] <= row["value"] <= row["ci_high"] <= 1
    row = found_for(range(6), rng.normal(size=(200, 6)), rng).loc["trend"]
    assert row["ci_low"] < 0 < row["ci_high"]


@pytest.mark.oracle
def test_change_is_last_less_first_draw_by_draw(rng):
    values = [5.0, 4.8, 4.5, 2.0, 1.9, 2.1]
    draws = np.array(values) + 1.5 * rng.normal(size=(300, 6))
    change = found_for(values, draws, rng).loc["change"]
    assert change["value"] == pytest.approx(2.1 - 5.0)
    assert (change["ci_low"], change["ci_high"]) == pytest.approx(
        np.quantile([draw[5] - draw[0] for draw in draws], [0.025, 0.975])
    )
    assert (change["unit"], change["n"]) == ("u", 6)


def rises(values, noise, rng, quantity="difference", group="plateau", steps=STEPS):
    """Quantities of a number, in long form, with its fitted rise where it has one."""
    draws = np.array(values) + noise * rng.normal(size=(100, len(steps)))
    against = "" if quantity == "value" else "matched"
    names = draws_of(draws, quantity, against, steps).assign(group=group)
    found = measure_trends([table(values, checkpoints=steps, quantity=quantity).assign(group=group)], names, 50, rng)
    return found.set_index("quantity")


def test_a_difference_that_changes_has_the_rise_that_is_fitted_to_it(rng):
    steps = [0, *(2**exponent for exponent in range(10))]
    values = rise_at(np.array(steps), 1, -0.5, np.log(33), 1.0)
    found = rises(values, 0.002, rng, steps=steps)
    named = {name.removeprefix("difference_rise_") for name in found.index if "rise" in name}
    assert named == {"width", "centre", "base", "height", "scatter"}
    width, centre = found.loc["difference_rise_width"], found.loc["difference_rise_centre"]
    assert width["ci_low"] < 1 < width["ci_high"] < width["ci_low"] + 0.2
    assert centre["ci_low"] < 32 < centre["ci_high"]
    assert (width["unit"], centre["unit"], width["n"]) == ("ln step", "training step", 11)
    assert found.loc["difference_rise_base", ["value", "unit"]].tolist() == [pytest.approx(1, abs=0.01), "u"]
    assert found.loc["difference_rise_height", "value"] == pytest.approx(-0.5, abs=0.01)


@pytest.mark.parametrize(
    ("values", "more"),
    [
        ([1.0, 1.1, 0.9, 1.0, 1.1, 1.0], {}),  # no change
        (range(6), {"quantity": "value"}),  # nothing it is compared with
        (range(6), {"group": "final_plateau"}),
        (range(5), {"steps": STEPS[:5]}),
    ],
)
def test_other_numbers_have_no_rise(values, more, rng):
    found = rises(values, 0.2, rng, **more)
    assert not found.index.str.contains("rise").any()
    assert found.index.str.contains("change").any()


def test_random_controls_share_the_draws_of_matched_ones_and_no_change_has_no_trend(rng):
    frames = [table(range(6), against=kind) for kind in ("random", "matched")]
    draws = draws_of(np.arange(6) + 0.1 * rng.normal(size=(100, 6)))
    found = measure_trends(frames, draws, 50, rng).set_index(["against", "quantity"])
    assert found.loc[("random", "trend"), "ci_low"] == found.loc[("matched", "trend"), "ci_low"] > 0.8
    flat = measure_trends([table([3.0] * 6)], draws_of(np.full((100, 6), 3.0)), 50, rng)
    assert flat["quantity"].tolist() == ["change"]


def test_draws_of_a_difference_belong_to_its_controls(rng):
    draws = draws_of(np.arange(6) + 0.1 * rng.normal(size=(100, 6)), "difference", "matched")
    found = measure_trends([table(range(6), quantity="difference")], draws, 50, rng).set_index("quantity")
    assert found.loc["difference_trend", "ci_low"] > 0.8
    assert found.loc["difference_change", "value"] == 5
    other = measure_trends([table(range(6), quantity="difference", against="random")], draws, 50, rng)
    assert other["quantity"].tolist() == ["difference_trend"]
    assert np.isnan(other["ci_low"].iloc[0])


def test_draws_missing_at_a_checkpoint_leave_the_trend_without_interval(rng):
    draws = draws_of(np.arange(6) + 0.1 * rng.normal(size=(100, 6)))
    found = measure_trends([table(range(6))], draws[draws["step"] != 4], 50, rng)
    assert found["quantity"].tolist() == ["trend"]
    assert np.isnan(found["ci_low"].iloc[0])
    without = measure_trends([table([0, 1, 2, np.nan, 4, 5])], draws[draws["step"] != 4], 50, rng).set_index("quantity")
    assert without.loc["trend", ["n", "value"]].tolist() == pytest.approx([5, 1])
    assert without.loc["trend", "ci_low"] > 0.8


def test_first_step_with_a_plateau(rng):
    def tests(condition, values):
        return pd.concat(
            [
                measure_frame(
                    CheckpointName("m", f"step{step}"),
                    [(condition, "boost", Estimate("plateau", v, "u", 9, part="test"))],
                )
                for step, v in zip(STEPS, values, strict=True)
            ]
        )

    found = first_plateau_steps(pd.concat([tests("rare", [0, 0, 0, 1, 0, 1]), tests("common", [0] * 6)]))
    assert list(found.columns) == MEASURE_COLUMNS
    by_condition = found.set_index("condition")["value"]
    assert by_condition["rare"] == 4
    assert np.isnan(by_condition["common"])
