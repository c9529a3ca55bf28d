"""The most influential neurons through training."""

import numpy as np
import pandas as pd
import pytest

from rareneurons.dynamics.top import entry_steps, final_top, turnover
from rareneurons.tables import CheckpointName


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


def values_of(*checkpoints: pd.DataFrame, top: int = 4) -> pd.Series:
    found = turnover(pd.concat(checkpoints), top)
    assert set(found["part"]) == {f"top_{top}"}
    return found.set_index(["step", "measure"])["value"]


def test_turnover_compares_other_documents_of_either_checkpoint():
    first, second = list(range(8)), [0, 1, 6, 7, 2, 3, 4, 5]
    found = values_of(influence_at(4, first, second), influence_at(16, second, second))
    # Discovery before against held-out now: all four; held-out before against discovery now: two of four.
    assert found[16, "kept"] == 0.75
    assert (4, "kept") not in found.index
    assert found[4, "kept_on_same_checkpoint"] == 0.5
    assert found[16, "kept_on_same_checkpoint"] == 1
    assert values_of(influence_at(4, first, first), top=9).isna().all()


@pytest.mark.calibration
def test_documents_alone_explain_the_turnover_of_a_model_that_does_not_change():
    """40 checkpoints of one model, noisy documents: kept as much as documents leave; a changing one keeps less."""
    rng = np.random.default_rng(37)
    truth = np.exp(-0.05 * np.arange(100))

    def checkpoint(step, effect):
        noisy = (effect * rng.lognormal(0, 0.3, size=100) for _ in range(2))
        parts = [
            pd.DataFrame({"neuron": np.arange(100), "mean_delta_loss": x, "mean_abs_delta_loss": x, "split": split})
            for split, x in zip(("discovery", "heldout"), noisy, strict=True)
        ]
        return pd.concat(parts).assign(condition="rare", **CheckpointName("m", f"step{step}").columns())

    still = turnover(pd.concat([checkpoint(step, truth) for step in range(40)]), 20)
    means = still.groupby("measure")["value"].mean()
    assert means["kept"] == pytest.approx(means["kept_on_same_checkpoint"], abs=0.03)
    assert means["kept"] < 0.9
    moving = turnover(pd.concat([checkpoint(step, np.roll(truth, 5 * step)) for step in range(40)]), 20)
    means = moving.groupby("measure")["value"].mean()
    assert means["kept"] < means["kept_on_same_checkpoint"] - 0.1


def test_final_top_neurons_are_tracked_backwards_by_rank_fraction_and_entry():
    first, middle, last = list(range(8)), [3, 7, 0, 1, 2, 6, 5, 4], [3, 0, 1, 2, 7, 6, 5, 4]
    influence = pd.concat([influence_at(step, order, first) for step, order in ((4, first), (8, middle), (16, last))])
    influence = influence[influence["split"] == "heldout"]
    groups = pd.DataFrame(
        {"model": "m", "group": ["top_33"] * 3 + ["decay"], "neuron": [3, 0, 5, 4], "rank": [1, 2, 3, 1]}
    )
    found = final_top(influence, groups, ["plateau", "top_33"])
    assert set(found["group"]) == {"top_33"}
    values = found.set_index(["step", "neuron"])
    assert values.loc[(16, 3), "rank_fraction"] == 0
    assert values.loc[(16, 0), "rank_fraction"] == pytest.approx(1 / 7)
    assert values.loc[(4, 3), "rank_fraction"] == pytest.approx(3 / 7)
    assert values["in_top"].unstack()[[3, 0, 5]].to_numpy().tolist() == [
        [False, True, False],
        [True, True, False],
        [True, True, False],
    ]
    entered = found.drop_duplicates("neuron").set_index("neuron")["entered"]
    assert (entered[3], entered[0]) == (8, 4)
    assert np.isnan(entered[5]), "other documents than the ones it was chosen on put it lower"
    assert final_top(influence.assign(step=-1), groups, ["top_33"]).empty


def test_a_neuron_that_leaves_has_not_come_to_stay():
    inside = {1: [True, False, True, True], 2: [True, True, True, True], 3: [True, True, True, False], 4: [False] * 4}
    top = pd.DataFrame(
        [(n, step, value) for n, values in inside.items() for step, value in zip((0, 2, 8, 64), values, strict=True)],
        columns=["neuron", "step", "in_top"],
    ).sample(frac=1, random_state=0)
    found = entry_steps(top)
    assert (found[1], found[2]) == (8, 0)
    assert found[[3, 4]].isna().all()
