"""The rule that declares neurons to be of a known type."""

import numpy as np
import pandas as pd

MAJORITY = 0.5  # smallest share of a neuron's mean absolute effect that passes through a type's mechanism
ENTROPY, FREQUENCY, KNOWN_TYPE = "entropy_neuron", "frequency_neuron", "known_type"
FREQUENCY_EFFECT, NORM_EFFECT = "frequency_effect", "norm_effect"
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
        weights: the properties of weights, as ``known_types.weights`` has them.
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
    """Indices of the entropy and token-frequency neurons; None where the layer's types are not defined.

    Args:
        neurons: the table of all neurons (``known_types.neurons``).
    """
    if neurons[KNOWN_TYPE].isna().any():
        return None
    return np.sort(neurons.loc[neurons[KNOWN_TYPE] == 1, "neuron"].to_numpy())
