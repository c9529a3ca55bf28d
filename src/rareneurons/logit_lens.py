"""Which tokens a neuron's output weights promote and suppress, read through the final norm and the unembedding.

The logit lens (nostalgebraist 2020; of MLP neurons: Geva et al. 2022, arXiv 2203.14680). A neuron adds its activation
times its output weight ``w`` to the residual stream; with the norm's scale held, logits move along ``(w gain) U^T``.
A positive activation promotes the tokens at the top of that vector, a negative one those at its bottom.
"""

import numpy as np
import torch

from rareneurons.models.last_layer import LastLayer

TOKENS_SHOWN = 8
ENTRIES_AT_ONCE = 2**25  # of the neurons x vocabulary matrix, which is never held whole


def written_directions(layer: LastLayer) -> torch.Tensor:
    """What each neuron writes before the unembedding, up to a positive factor of the row: (N, d).

    Where a norm stands between the MLP and the residual stream, the direction passes through that norm first.
    """
    weight = layer.output_weight
    if layer.mlp_norm is not None:
        weight = layer.mlp_norm.centred(weight) * layer.mlp_norm.gain
    return layer.centred(weight) * layer.norm.gain


def top_tokens(layer: LastLayer, types: np.ndarray, shown: int = TOKENS_SHOWN) -> tuple[np.ndarray, np.ndarray]:
    """Tokens that a positive activation of each neuron promotes and suppresses most.

    Where logits are soft-capped, these are the ones before the cap.

    Args:
        layer: the last layer, in the precision and on the device to compute in.
        types: token ids that may be named: those of the training corpus, since nothing taught the model where to put
            the others. Ids beyond the unembedding are left out.
        shown: how many tokens, at most.

    Returns:
        Token ids, twice int32 (N, k) with k = ``shown``, or the number of types if that is smaller: the most promoted
        first, the most suppressed first.
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
