"""Token-frequency and entropy properties of every neuron of the last MLP."""

from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd
import torch

from rareneurons.models.last_layer import LastLayer

# Share of the unembedding's directions that count as its null space: 12 of 768 for GPT-2 in Stolfo et al.
NULL_SPACE = 1 / 64
ROWS_PER_BATCH = 256
# Property -> unit.
UNITS = {
    "output_norm": "weight units",
    "null_space_share": "share of squared norm",
    "logit_variance": "variance of B / |w|",
    "frequency_cosine": "cosine",
    "frequency_effect": "nats",
    "frequency_share": "share of mean abs effect",
}


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


def weight_properties(layer: LastLayer, direction: np.ndarray) -> pd.DataFrame:
    """The properties of each neuron that follow from weights alone.

    Args:
        layer: the last layer; everything is computed in float64.
        direction: (V,) as :func:`unigram_direction` returns it.

    Returns:
        One row per neuron, in order. ``output_norm``: |w|. ``null_space_share``: share of |w|^2 (centred where the norm
        centres, times its gain) in the unembedding's right singular directions with the smallest singular values.
        ``logit_variance``: variance over the vocabulary of ``B / |w gain|`` (LogitVar in Stolfo et al.).
        ``frequency_cosine``: cosine of ``B``, centred over the vocabulary, with the unigram direction. All are NaN for
        a layer without a closed form: its neurons write into the residual stream through a norm.
    """
    if layer.no_closed_form is not None:
        columns = ["output_norm", "null_space_share", "logit_variance", "frequency_cosine"]
        return pd.DataFrame(np.nan, index=range(len(layer.output_weight)), columns=columns)
    layer = layer.to("cpu", torch.float64)
    weight = layer.output_weight
    gained = layer.centred(weight) * layer.norm.gain
    norm = gained.norm(dim=1)
    centred = layer.unembedding - layer.unembedding.mean(0)
    squared = centred.T @ centred
    # |B| of all neurons follows without B itself, from the diagonal of B B^T = gained (U^T U) gained^T.
    logit_norm = ((gained @ squared) * gained).sum(1).clamp_min(0).sqrt()
    along = gained @ (centred.T @ torch.from_numpy(direction))
    singular = torch.linalg.eigh(layer.unembedding.T @ layer.unembedding)[1]  # in order of rising singular value
    null = singular[:, : max(1, round(NULL_SPACE * len(singular)))]
    return pd.DataFrame(
        {
            "output_norm": weight.norm(dim=1).numpy(),
            "null_space_share": ((gained @ null).square().sum(1) / norm.square()).numpy(),
            "logit_variance": (logit_norm.square() / norm.square() / len(centred)).numpy(),
            "frequency_cosine": (along / logit_norm).numpy(),
        }
    )


def frequency_effects(
    layer: LastLayer,
    residual: np.ndarray,
    activation: np.ndarray,
    reference: np.ndarray,
    target: np.ndarray,
    direction: np.ndarray,
    progress: Callable[[Iterable[int]], Iterable[int]] = iter,
) -> np.ndarray:
    """Mean absolute direct effect of each neuron through the unigram direction alone.

    Ablation moves the logits by ``(delta / s) B``. The part along the direction ``u`` is ``c u``, with
    ``c = (delta / s) B.u``. The effect of that part on the loss is ``ln E_p[exp(c u_v)] - c u_target``. It is computed
    for each row and neuron from the first three cumulants of ``u`` under the prediction.

    Args:
        layer: the last layer.
        residual: (T, d) residual that enters the final norm.
        activation: (T, N) activations.
        reference: (N,) values that ablation puts in their place.
        target: (T,) token ids.
        direction: (V,) as :func:`unigram_direction` returns it.
        progress: wraps the loop over batches of rows.

    Returns:
        Float64 (N,), nats; NaN for a layer without a closed form.
    """
    if layer.no_closed_form is not None:
        return np.full(len(layer.output_weight), np.nan)
    u = torch.from_numpy(direction).to(layer.unembedding)
    gained = layer.centred(layer.output_weight) * layer.norm.gain
    along = (gained @ (layer.unembedding.T @ u)).double()
    total = torch.zeros(len(along), dtype=torch.float64, device=along.device)
    held = torch.from_numpy(np.asarray(reference)).to(along)
    for first in progress(range(0, len(residual), ROWS_PER_BATCH)):
        rows = slice(first, first + ROWS_PER_BATCH)
        x = layer.centred(torch.from_numpy(residual[rows]).to(along))
        scale = (x.square().mean(-1) + layer.norm.epsilon).sqrt()
        normed = (x / scale[:, None]).to(layer.unembedding) * layer.norm.gain
        p = torch.softmax(normed @ layer.unembedding.T + layer.logit_bias, dim=-1)
        mean = p @ u
        deviation = u[None] - mean[:, None]
        second = (p * deviation.square()).sum(-1).double()
        third = (p * deviation**3).sum(-1).double()
        gap = mean.double() - u.double()[torch.from_numpy(target[rows]).to(u.device)]
        delta = held - torch.from_numpy(activation[rows]).to(along)
        c = delta / scale[:, None] * along
        effect = c * (gap[:, None] + c * (second[:, None] / 2 + c * third[:, None] / 6))
        total += effect.abs().sum(0)
    return (total / len(residual)).cpu().numpy()
