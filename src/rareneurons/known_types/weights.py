"""Token-frequency and entropy properties of every neuron of the last MLP that follow from its weights alone."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from rareneurons.models.last_layer import LastLayer

# Share of the unembedding's directions that count as its null space: 12 of 768 for GPT-2 in Stolfo et al.
NULL_SPACE = 1 / 64
DIRECTIONS = 20  # random directions per neuron; a layer of random neurons exceeds all of them in one case of 21
WEIGHT_PROPERTIES = (
    *("output_norm", "null_space_share", "null_space_ratio"),
    *("logit_variance", "frequency_cosine", "frequency_ratio"),
)


def unigram_direction(counts: np.ndarray, vocabulary_size: int) -> np.ndarray:
    """Centred ln p of the add-one smoothed unigram distribution, unit length, float64 (vocabulary_size,).

    Args:
        counts: (C,) integer counts by token id. Ids beyond C count 0; counts beyond the vocabulary are left out.
        vocabulary_size: V, the rows of the unembedding.
    """
    padded = np.zeros(vocabulary_size)
    shared = min(len(counts), vocabulary_size)
    padded[:shared] = counts[:shared]
    direction = np.log(padded + 1)
    direction -= direction.mean()
    return direction / np.linalg.norm(direction)


def weight_properties(layer: LastLayer, direction: np.ndarray, rng: np.random.Generator) -> pd.DataFrame:
    """The properties of each neuron that follow from weights alone.

    Args:
        layer: the last layer; everything is computed in float64.
        direction: (V,) as :func:`unigram_direction` returns it.
        rng: draws random directions of the residual stream, ``DIRECTIONS`` per neuron.

    Returns:
        One row per neuron, in order. ``output_norm``: |w|. ``null_space_share``: share of |w|^2 (centred where the norm
        centres, times its gain) in the unembedding's right singular directions with the smallest singular values.
        ``logit_variance``: variance over the vocabulary of ``B / |w gain|`` (LogitVar in Stolfo et al.).
        ``frequency_cosine``: cosine of ``B``, centred over the vocabulary, with the unigram direction.
        ``null_space_ratio`` and ``frequency_ratio``: the share, and the absolute cosine, over the largest one of all
        random directions; above 1, p is below 0.05 for the layer's neurons together (Monte-Carlo test, Bonferroni). All
        are NaN for a layer without a closed form: its neurons write into the residual stream through a norm.
    """
    n, width = layer.output_weight.shape
    if layer.no_closed_form is not None:
        return pd.DataFrame(np.nan, index=range(n), columns=list(WEIGHT_PROPERTIES))
    reader = _Reader.of(layer, direction)
    found = reader.properties(layer.output_weight.double().cpu())
    largest = np.zeros(2)
    for _ in range(DIRECTIONS):
        drawn = reader.properties(torch.from_numpy(rng.normal(size=(n, width))))
        largest = np.maximum(largest, [drawn["null_space_share"].max(), drawn["frequency_cosine"].abs().max()])
    found["null_space_ratio"] = found["null_space_share"] / largest[0]
    found["frequency_ratio"] = found["frequency_cosine"].abs() / largest[1]
    return found[list(WEIGHT_PROPERTIES)]


@dataclass(frozen=True)
class _Reader:
    """What the unembedding makes of a direction of the residual stream, float64 on the CPU."""

    layer: LastLayer
    squared: torch.Tensor  # (d, d) U^T U of the centred unembedding
    along: torch.Tensor  # (d,) U^T u, u the unigram direction
    null: torch.Tensor  # (d, k) directions that the unembedding reads least

    @classmethod
    def of(cls, layer: LastLayer, direction: np.ndarray) -> "_Reader":
        layer = layer.to("cpu", torch.float64)
        centred = layer.unembedding - layer.unembedding.mean(0)
        singular = torch.linalg.eigh(layer.unembedding.T @ layer.unembedding)[1]  # in order of rising singular value
        null = singular[:, : max(1, round(NULL_SPACE * len(singular)))]
        return cls(layer, centred.T @ centred, centred.T @ torch.from_numpy(direction), null)

    def properties(self, weight: torch.Tensor) -> pd.DataFrame:
        """Properties of output weights (n, d), one row each."""
        gained = self.layer.centred(weight) * self.layer.norm.gain
        norm = gained.norm(dim=1)
        # |B| follows without B itself, from the diagonal of B B^T = gained (U^T U) gained^T.
        logit_norm = ((gained @ self.squared) * gained).sum(1).clamp_min(0).sqrt()
        return pd.DataFrame(
            {
                "output_norm": weight.norm(dim=1).numpy(),
                "null_space_share": ((gained @ self.null).square().sum(1) / norm.square()).numpy(),
                "logit_variance": (logit_norm.square() / norm.square() / len(self.layer.unembedding)).numpy(),
                "frequency_cosine": (gained @ self.along / logit_norm).numpy(),
            }
        )
