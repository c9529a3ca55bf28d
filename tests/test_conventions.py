"""What a configuration and the library agree on."""

import pytest

from rareneurons.conventions import checkpoint_steps, layers_asked_for, neurons_of_mlp
from rareneurons.errors import ConfigurationError


def test_pythia_s_schedule():
    steps = checkpoint_steps(143000, 1000)
    assert len(steps) == 154
    assert steps[:6] == [0, 1, 2, 4, 8, 16]
    assert steps[-1] == 143000
    assert checkpoint_steps(5, 1000) == [0, 1, 2, 4, 5]


def test_neurons_are_four_per_dimension_unless_given():
    assert neurons_of_mlp({"hidden_size": 8}) == 32
    assert neurons_of_mlp({"hidden_size": 8, "intermediate_size": 100}) == 100


def test_layers_asked_for():
    assert layers_asked_for("all", 4, "m") == [0, 1, 2]
    assert layers_asked_for([2, 3], 4, "m") == [2, 3]
    with pytest.raises(ConfigurationError, match=r"other_layers\.layers: found 'all', but m has 1 layer"):
        layers_asked_for("all", 1, "m")
    with pytest.raises(ConfigurationError, match=r"other_layers\.layers: found 4, but m has 4 layers; expected 0 to 3"):
        layers_asked_for([4], 4, "m")
