"""The rule that declares neurons to be of a known type, and the table of all neurons with their properties."""

from collections.abc import Callable, Iterable, Mapping

import numpy as np
import pandas as pd
import torch

from rareneurons.known_types.effects import FREQUENCY_EFFECT, NORM_EFFECT, mediated_effects
from rareneurons.known_types.weights import unigram_direction, weight_properties
from rareneurons.logit_lens import top_tokens
from rareneurons.models.last_layer import LastLayer
from rareneurons.rows import in_condition

MAJORITY = 0.5  # smallest share of a neuron's mean absolute effect that passes through a type's mechanism
ENTROPY, FREQUENCY, KNOWN_TYPE = "entropy_neuron", "frequency_neuron", "known_type"
SHARES = {FREQUENCY_EFFECT: "frequency_share", NORM_EFFECT: "norm_share"}
# Property -> unit.
UNITS = {
    "output_norm": "weight units",
    "null_space_share": "share of squared norm",
    "null_space_ratio": "over the largest of random directions",
    "logit_variance": "variance of B / |w|",
    "frequency_cosine": "cosine",
    "frequency_ratio": "over the largest of random directions",
    FREQUENCY_EFFECT: "nats",
    "frequency_share": "share of mean abs effect",
    NORM_EFFECT: "nats",
    "norm_share": "share of mean abs effect",
    ENTROPY: "share of neurons",
    FREQUENCY: "share of neurons",
    KNOWN_TYPE: "share of neurons",
}


def declared_types(weights: pd.DataFrame, shares: pd.DataFrame) -> pd.DataFrame:
    """Which neurons are entropy neurons, token-frequency neurons, or either.

    A neuron is of a type if its weights point where the type's do more than all random directions, and if at least
    half of its effect passes through the type's mechanism. Stolfo et al. name the neurons of one model by eye, in the
    plane of the same two kinds of number; a null and a majority take the place of the eye.

    * Entropy neuron: ``null_space_ratio`` above 1, ``output_norm`` at least the layer's median, and ``norm_share`` at
      least ``MAJORITY``.
    * Token-frequency neuron: ``frequency_ratio`` above 1, and ``frequency_share`` at least ``MAJORITY``.

    Args:
        weights: as :func:`weight_properties` returns it.
        shares: ``norm_share`` and ``frequency_share`` on the rows that neurons are chosen on.

    Returns:
        ``entropy_neuron``, ``frequency_neuron`` and ``known_type`` (either), 0 or 1 per neuron; NaN where properties
        are NaN.
    """
    loud = weights["output_norm"] >= weights["output_norm"].median()
    entropy = (weights["null_space_ratio"] > 1) & loud & (shares["norm_share"] >= MAJORITY)
    frequency = (weights["frequency_ratio"] > 1) & (shares["frequency_share"] >= MAJORITY)
    found = pd.DataFrame({ENTROPY: entropy, FREQUENCY: frequency, KNOWN_TYPE: entropy | frequency}).astype(float)
    return found.where(weights["output_norm"].notna(), np.nan)


def neurons_of_known_types(neurons: pd.DataFrame) -> np.ndarray | None:
    """Indices of the neurons that are of either type; None where the layer's types are not defined.

    Args:
        neurons: as :func:`neuron_properties` returns it.
    """
    if neurons[KNOWN_TYPE].isna().any():
        return None
    return np.sort(neurons.loc[neurons[KNOWN_TYPE] == 1, "neuron"].to_numpy())


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
