"""Trends over checkpoints."""

import numpy as np
import pandas as pd
import pytest

from rareneurons.dynamics import measure_trends
from rareneurons.tables import MEASURE_COLUMNS, CheckpointName, Estimate, last_checkpoints, measure_frame

STEPS = [0, 1, 2, 4, 8, 16]


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
    found = measure_trends([table([1, 2, 3, 4, 5, 6])], 500, rng)
    assert list(found.columns) == MEASURE_COLUMNS
    assert found["measure"].tolist() == ["d.trend"]
    row = found.iloc[0]
    assert row["value"] == pytest.approx(1)
    assert row["p_value"] < 0.02
    assert (row["n"], row["step"], row["checkpoint"]) == (6, 16, "all")


def test_too_few_or_stepless_checkpoints_have_no_trend(rng):
    assert measure_trends([table([1, 2, 3], checkpoints=[0, 1, 2])], 10, rng).empty
    assert measure_trends([table([1.0], checkpoints=["main"])], 10, rng).empty
    assert measure_trends([table([1, 2, np.nan, np.nan, np.nan, 3])], 10, rng).empty


def test_last_checkpoint_by_step_not_by_name():
    both = pd.concat([table([1] * 6), table([1.0], model="other", checkpoints=["main"])])
    last = last_checkpoints(both)
    assert set(zip(last["model"], last["checkpoint"], strict=True)) == {("m", "step16"), ("other", "main")}
