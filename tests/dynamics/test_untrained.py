"""Joint effects beyond those of the untrained model: the difference of two checkpoints, with its error."""

import numpy as np
import pandas as pd
import pytest

from rareneurons.dynamics.untrained import UNTRAINED, beyond_untrained
from rareneurons.stats import NORMAL_95
from rareneurons.tables import DIFFERENCE, MEASURE_COLUMNS, CheckpointName, Draws, Estimate, draws_frame, measure_frame

PLACE = "rare-common", "top_33"


def run(rng, values, model="m", group="top_33", errors=0.1):
    """Differences at steps (step -> value), against two kinds of controls, and their draws."""
    tables, draws = [], []
    for step, value in values.items():
        name, place = CheckpointName(model, f"step{step}"), ("rare-common", group)
        kinds = (
            Estimate("delta_loss", value, "nats", 50, quantity=DIFFERENCE, against=kind)
            for kind in ("random", "matched")
        )
        tables.append(measure_frame(name, [(*place, each) for each in kinds]))
        drawn = Draws("delta_loss", value + errors * rng.normal(size=400), quantity=DIFFERENCE)
        draws.append(draws_frame(name, [(*place, drawn)]))
    return pd.concat(tables), pd.concat(draws)


@pytest.mark.oracle
def test_each_later_checkpoint_less_the_first(rng):
    table, draws = run(rng, {0: 0.2, 8: 0.5, 64: 0.2})
    found = beyond_untrained(table, draws)
    assert list(found.columns) == MEASURE_COLUMNS
    assert found["step"].tolist() == [8, 64]
    assert found["value"].tolist() == pytest.approx([0.3, 0.0])
    assert set(found["quantity"]) == {"excess"}
    assert set(found["against"]) == {UNTRAINED}
    assert (found["null_mean"] == 0.2).all()
    by_step = draws.set_index("step")["draws"]
    error = np.std(by_step[8] - by_step[0])
    assert found["ci_high"].iloc[0] == pytest.approx(0.3 + NORMAL_95 * error)
    assert found["p_value"].iloc[1] == pytest.approx(1)
    assert found["p_value"].iloc[0] == pytest.approx(0.034, abs=0.02)


def test_step_1_may_stand_in_for_step_0_and_later_ones_may_not(rng):
    assert beyond_untrained(*run(rng, {1: 0.2, 8: 0.5}))["value"].tolist() == pytest.approx([0.3])
    assert beyond_untrained(*run(rng, {4: 0.2, 8: 0.5})).empty
    assert beyond_untrained(*run(rng, {-1: 0.2})).empty, "a release without a known step"


def test_models_and_groups_are_apart_and_those_tracked_backwards_take_no_part(rng):
    runs = [
        run(rng, {0: 0.1, 8: 0.2}, "a"),
        run(rng, {0: 0.4, 8: 0.2}, "b"),
        run(rng, {0: 0.1, 8: 0.2}, "a", "final_top_33"),
        run(rng, {8: 0.2}, "a", "plateau"),
    ]
    tables, draws = zip(*runs, strict=True)
    found = beyond_untrained(pd.concat(tables), pd.concat(draws))
    assert found.set_index("model")["value"].to_dict() == pytest.approx({"a": 0.1, "b": -0.2})
    assert set(found["group"]) == {"top_33"}


def test_without_draws_there_is_nothing(rng):
    table, draws = run(rng, {0: 0.1, 8: 0.2})
    assert beyond_untrained(table, draws.iloc[:0]).empty
