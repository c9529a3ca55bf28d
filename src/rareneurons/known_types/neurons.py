"""The table of all neurons of a checkpoint's last MLP, with their properties and types."""

from collections.abc import Callable, Iterable, Mapping

import numpy as np
import pandas as pd
import torch

from rareneurons.known_types.declared import SHARES, UNITS, declared_types
from rareneurons.known_types.effects import mediated_effects
from rareneurons.known_types.weights import unigram_direction, weight_properties
from rareneurons.logit_lens import top_tokens
from rareneurons.models.last_layer import LastLayer
from rareneurons.rows import in_condition


def neuron_properties(
    layer: LastLayer,
    trace: Mapping[str, np.ndarray],
    reference: np.ndarray,
    rows: pd.DataFrame,
    influence: pd.DataFrame,
    condition: str,
    counts: np.ndarray,
    vocabulary: np.ndarray,
    rng: np.random.Generator,
    progress: Callable[[Iterable[int]], Iterable[int]] = iter,
) -> pd.DataFrame:
    """Every neuron's properties, its types, and the tokens that it promotes and suppresses.

    Args:
        layer: the last layer, on the device of the computation.
        trace: ``residual`` (T, d) and ``activation`` (T, N).
        reference: (N,) or (T, N) values that ablation puts in place of the activations.
        rows: T rows.
        influence: the influence table of the same rows and reference.
        condition: effects are those on rows of this condition.
        counts: (C,) unigram counts by token id.
        vocabulary: (K,) ids of the tokens that a neuron may be said to promote or suppress.
        rng: draws random directions.
        progress: wraps the loop over batches of rows.

    Returns:
        One row per neuron: ``layer``, ``neuron``, the properties ``UNITS``, and the ids of the tokens that it
        ``promoted`` and ``suppressed`` most, (k,) each. Effects and shares are those on held-out rows; types are
        declared on discovery rows, on which groups are chosen.
    """
    direction = unigram_direction(counts, len(layer.unembedding))
    weights = weight_properties(layer, direction, rng)
    layer = layer.to(str(layer.unembedding.device), torch.float32)
    by_split = {}
    for split in ("discovery", "heldout"):
        here = in_condition(rows, condition, split)
        arrays = trace["residual"][here], trace["activation"][here]
        held = reference if reference.ndim == 1 else reference[here]
        target = rows["target"].to_numpy()[here]
        found = mediated_effects(layer, *arrays, held, target, direction, progress)
        mine = influence[(influence["condition"] == condition) & (influence["split"] == split)].sort_values("neuron")
        whole = mine["mean_abs_delta_loss"].to_numpy()
        with np.errstate(invalid="ignore", divide="ignore"):
            shares = {SHARES[name]: effect / whole for name, effect in found.items()}
        by_split[split] = pd.DataFrame(found | shares)
    types = declared_types(weights, by_split["discovery"])
    properties = pd.concat([weights, by_split["heldout"], types], axis=1)[list(UNITS)]
    for side, tokens in zip(("promoted", "suppressed"), top_tokens(layer, vocabulary), strict=True):
        properties[side] = list(tokens)
    properties.insert(0, "layer", mine["layer"].to_numpy())
    properties.insert(1, "neuron", mine["neuron"].to_numpy())
    return properties
