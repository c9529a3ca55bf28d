"""Known types of neurons, and the groups among them."""

import numpy as np
import pandas as pd
import pytest
from pictures import A, labelled

from rareneurons.figures.known_types import neuron_types

pytestmark = pytest.mark.usefixtures("style")


def test_groups_are_rings_and_declared_neurons_crosses(rng):
    neurons = pd.DataFrame({"model": A, "checkpoint": "main", "neuron": np.arange(50)})
    neurons = neurons.assign(null_space_ratio=rng.random(50), frequency_ratio=rng.random(50))
    neurons = neurons.assign(entropy_neuron=0.0, frequency_neuron=0.0, known_type=0.0)
    neurons.loc[[3, 4], ["null_space_ratio", "entropy_neuron", "known_type"]] = 2.0, 1.0, 1.0
    neurons.loc[9, ["frequency_ratio", "frequency_neuron", "known_type"]] = 1.5, 1.0, 1.0
    groups = pd.DataFrame({"model": A, "group": ["top_33"] * 3 + ["selective_33"], "neuron": [3, 9, 20, 7]})
    figure = labelled(neuron_types(neurons, groups, ["top_33", "selective_33"]))
    lines = {line.get_label(): line for line in figure.axes[0].lines}
    np.testing.assert_allclose(lines["top 33"].get_xdata(), neurons["null_space_ratio"].iloc[[3, 9, 20]])
    assert lines["declared entropy neuron"].get_xdata().tolist() == [2.0, 2.0]
    assert lines["declared frequency neuron"].get_ydata().tolist() == [1.5]
    assert lines["largest of random directions"].get_ydata() == [1, 1]
    assert "3 of 50 declared" in figure.axes[0].get_title()
