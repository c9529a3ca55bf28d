"""Loss of the trained models."""

import numpy as np
import pandas as pd
import pytest
from pictures import A, labelled

from rareneurons.figures.training import training_loss

pytestmark = pytest.mark.usefixtures("style")


def test_training_loss():
    losses = pd.DataFrame({"model": A, "step": range(20), "loss": np.linspace(6, 4, 20)})
    figure = labelled(training_loss(losses, np.array([3, 1, 0])))
    levels = [line.get_ydata()[0] for line in figure.axes[0].lines[-2:]]
    np.testing.assert_allclose(levels, [np.log(3), -(0.75 * np.log(0.75) + 0.25 * np.log(0.25))])
    assert [t.get_text() for t in figure.axes[0].texts] == ["ln V", "unigram entropy"]
