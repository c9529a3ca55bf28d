"""Loss of the trained models."""

import numpy as np
import pandas as pd
import pytest
from pictures import A, labelled

from rareneurons.figures.training import training_loss

pytestmark = pytest.mark.usefixtures("style")


def test_training_loss():
    logs = pd.DataFrame({"model": A, "step": range(20), "loss": np.linspace(6, 4, 20)})
    figure = labelled(training_loss(logs, 5.0, 400))
    assert [t.get_text() for t in figure.axes[0].texts] == ["ln V", "unigram entropy"]
