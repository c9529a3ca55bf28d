"""The last layer of a model: what may be changed in it without changing a prediction."""

import numpy as np
import torch

from rareneurons.models.last_layer import LastLayer, Norm


def test_a_centred_unembedding_leaves_every_prediction(rng):
    def tensor(*shape: int) -> torch.Tensor:
        return torch.from_numpy(rng.normal(size=shape))

    norm = Norm("rms_norm", 1 + tensor(6), torch.zeros(6).double(), 1e-5)
    layer = LastLayer(tensor(5, 6), 3 + tensor(20, 6), tensor(20), norm, {})
    centred = layer.with_centred_unembedding()
    np.testing.assert_allclose(centred.unembedding.mean(0), 0, atol=1e-14)
    residual = tensor(4, 6)
    before, after = (torch.log_softmax(each.logits(residual), -1) for each in (layer, centred))
    np.testing.assert_allclose(after, before, atol=1e-12)
    assert (layer.logits(residual) - centred.logits(residual)).abs().max() > 0.1
