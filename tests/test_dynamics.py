"""Trends over checkpoints."""

import numpy as np
import pandas as pd
import pytest

from rareneurons.dynamics import first_plateau_steps, measure_trends, turnover
from rareneurons.tables import MEASURE_COLUMNS, CheckpointName, Estimate, last_checkpoints, measure_frame

STEPS = [0, 1, 2, 4, 8, 16]
NO_DRAWS = pd.DataFrame(columns=["model", "step", "condition", "group", "measure", "draw", "value"])


def table(values, model="m", checkpoints=STEPS):
    return pd.concat(
        [
            measure_frame(
                CheckpointName(model, f"step{step}" if isinstance(step, int) else step),
                [
                    ("rare", "plateau", Estimate("d", v, "u", 9)),
                    ("rare", "plateau", Estimate("d.null_mean", 1, "u", 9)),
                ],
            )
            for step, v in zip(checkpoints, values, strict=True)
        ]
    )


def test_growth_is_a_trend_and_nulls_are_left_out(rng):
    found = measure_trends([table([1, 2, 3, 4, 5, 6])], NO_DRAWS, 500, rng)
    assert list(found.columns) == MEASURE_COLUMNS
    assert found["measure"].tolist() == ["d.trend"]
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


def draws_of(values: np.ndarray) -> pd.DataFrame:
    """Draws (draws, steps) of the measure ``d`` of the plateau."""
    n_draws = len(values)
    return pd.concat(
        [
            pd.DataFrame(
                {
                    "model": "m",
                    "step": step,
                    "condition": "rare",
                    "group": "plateau",
                    "measure": "d",
                    "draw": np.arange(n_draws),
                    "value": values[:, column],
                }
            )
            for column, step in enumerate(STEPS)
        ]
    )


@pytest.mark.calibration
def test_interval_of_a_trend_excludes_zero_where_documents_agree_and_not_where_they_do_not(rng):
    growing = np.arange(6) + 0.3 * rng.normal(size=(200, 6))
    row = measure_trends([table(range(6))], draws_of(growing), 50, rng).iloc[0]
    assert 0.8 < row["ci_low"] <= row["value"] <= row["ci_high"] <= 1
    noise = rng.normal(size=(200, 6))
    row = measure_trends([table(range(6))], draws_of(noise), 50, rng).iloc[0]
    assert row["ci_low"] < 0 < row["ci_high"]


def test_first_step_with_a_plateau(rng):
    def tests(condition, values):
        return pd.concat(
            [
                measure_frame(
                    CheckpointName("m", f"step{step}"),
                    [(condition, "boost", Estimate("mean_abs.test.plateau", v, "u", 9))],
                )
                for step, v in zip(STEPS, values, strict=True)
            ]
        )

    found = first_plateau_steps(pd.concat([tests("rare", [0, 0, 0, 1, 0, 1]), tests("common", [0] * 6)]))
    assert list(found.columns) == MEASURE_COLUMNS
    by_condition = found.set_index("condition")["value"]
    assert by_condition["rare"] == 4
    assert np.isnan(by_condition["common"])


def influence_at(step: int, order: list[int], discovery: list[int]) -> pd.DataFrame:
    """Eight boost neurons in an order of influence, held-out and discovery."""
    parts = []
    for split, ranked in (("heldout", order), ("discovery", discovery)):
        mean_abs = np.empty(8)
        mean_abs[ranked] = np.arange(8, 0, -1)
        parts.append(
            pd.DataFrame(
                {"neuron": np.arange(8), "mean_delta_loss": mean_abs, "mean_abs_delta_loss": mean_abs, "split": split}
            )
        )
    return pd.concat(parts).assign(condition="rare", **CheckpointName("m", f"step{step}").columns())


def test_turnover_counts_what_the_checkpoint_before_had():
    first, second = list(range(8)), [0, 1, 6, 7, 2, 3, 4, 5]
    found = turnover(pd.concat([influence_at(4, first, second), influence_at(16, second, second)]), 4)
    values = found.set_index(["step", "measure"])["value"]
    assert values[16, "kept.top_4"] == 0.5
    assert (4, "kept.top_4") not in values.index
    assert values[4, "kept.top_4.same_checkpoint"] == 0.5
    assert values[16, "kept.top_4.same_checkpoint"] == 1
    assert np.isnan(turnover(influence_at(4, first, first), 9)["value"]).all()
