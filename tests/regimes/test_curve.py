"""The rank-influence curve."""

import numpy as np

from rareneurons.regimes.curve import rank_curve


def test_curve_takes_one_sign_and_sorts_by_influence():
    mean = np.array([0.1, -0.2, 0.3, 0.0, 0.2])
    mean_abs = np.array([0.5, 0.6, 0.4, 0.9, 0.7])
    boost = rank_curve(mean, mean_abs, "boost")
    assert boost.neuron.tolist() == [4, 0, 2]
    np.testing.assert_allclose(boost.ln_influence, np.log([0.7, 0.5, 0.4]))
    np.testing.assert_allclose(boost.ln_rank, np.log([1, 2, 3]))
    assert rank_curve(mean, mean_abs, "suppress").neuron.tolist() == [1]
    assert rank_curve(mean, mean_abs, "boost", "abs_mean").neuron.tolist() == [2, 4, 0]
