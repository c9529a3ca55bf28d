"""The last losses of trained models and the entropy of their tokens, by hand."""

import numpy as np
import pandas as pd
import pytest

from rareneurons.dynamics.training_loss import LAST_STEPS, final_losses


def test_final_losses_are_means_of_the_last_steps_and_below_the_entropy_of_the_own_tokens():
    steps = np.arange(LAST_STEPS + 5)
    falling = pd.DataFrame({"model": "b", "step": steps, "loss": np.where(steps < 5, 9.0, 0.5)}).sample(frac=1)
    flat = pd.DataFrame({"model": "a", "step": [0, 1], "loss": [1.0, 2.0]})
    found = final_losses(pd.concat([falling, flat]), {"a": np.array([1, 1, 0]), "b": np.array([3, 1, 0])})
    assert found["model"].tolist() == ["b", "a"]
    assert found["steps"].tolist() == [LAST_STEPS + 5, 2]
    assert found["loss"].tolist() == [0.5, 1.5]
    entropies = [-0.75 * np.log(0.75) - 0.25 * np.log(0.25), np.log(2)]
    assert found["unigram_entropy"].tolist() == pytest.approx(entropies)
    assert found["below_unigram"].tolist() == pytest.approx([entropies[0] - 0.5, entropies[1] - 1.5])
