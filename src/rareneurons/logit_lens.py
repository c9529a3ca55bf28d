"""Which tokens a neuron's output weights promote and suppress, read through the final norm and the unembedding.

The method is the logit lens (nostalgebraist 2020; for MLP neurons: Geva et al. 2022, arXiv 2203.14680). A neuron adds
its activation times its output weight ``w`` to the residual stream. If the norm's scale is fixed, logits change along
``(w gain) U^T``. A positive activation promotes the tokens with the largest entries of that vector. A negative
activation promotes those with the smallest.
"""

import numpy as np
import torch

from rareneurons.models.last_layer import LastLayer

TOKENS_SHOWN = 8
ENTRIES_AT_ONCE = 2**25  # of the neurons x vocabulary matrix, which is computed in parts to save memory


def written_directions(layer: LastLayer) -> torch.Tensor:
    """Direction in which each neuron moves the input of the unembedding, up to a positive factor per row: (N, d).

    If a norm lies between the MLP and the residual stream, the direction passes through that norm first.
    """
    weight = layer.output_weight
    if layer.mlp_norm is not None:
        weight = layer.mlp_norm.centred(weight) * layer.mlp_norm.gain
    return layer.centred(weight) * layer.norm.gain


def top_tokens(layer: LastLayer, types: np.ndarray, shown: int = TOKENS_SHOWN) -> tuple[np.ndarray, np.ndarray]:
    """Tokens that a positive activation of each neuron promotes and suppresses most.

    If logits are soft-capped, the tokens are those before the cap.

    Args:
        layer: the last layer, in the precision and on the device for the computation.
        types: token ids that may be named. These are the ids in the training corpus, because the model learned nothing
            about the others. Ids beyond the unembedding are left out.
        shown: largest number of tokens.

    Returns:
        Two int32 arrays (N, k) of token ids, the most promoted first and the most suppressed first. k is ``shown``, or
        the number of types if that is smaller.
    """
    types = types[types < len(layer.unembedding)]
    known = torch.from_numpy(types).to(layer.unembedding.device)
    shown = min(shown, len(types))
    promoted, suppressed = [], []
    for directions in written_directions(layer).split(max(1, ENTRIES_AT_ONCE // len(layer.unembedding))):
        logits = (directions @ layer.unembedding.T)[:, known]
        promoted.append(logits.topk(shown).indices.cpu().numpy())
        suppressed.append(logits.topk(shown, largest=False).indices.cpu().numpy())
    return tuple(types[np.concatenate(found)].astype(np.int32) for found in (promoted, suppressed))
