"""Are the plateau neurons those of Stolfo et al. 2024 (arXiv 2406.16254): token-frequency and entropy neurons?

*Token-frequency neurons* act on the loss through the direction of the unigram distribution: they push the prediction
towards or away from it. *Entropy neurons* write into directions that the unembedding hardly reads (its effective null
space) with weights of large norm: they act through the norm's scale alone.
"""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import pandas as pd
import torch

from rareneurons.models.last_layer import LastLayer
from rareneurons.stats import against_controls
from rareneurons.tables import Estimate

NULL_SPACE = 1 / 64  # share of the unembedding's directions taken as its null space: 12 of 768 for GPT-2 in their paper
ROWS_A_BATCH = 256
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
        counts: (C,) integer; ids beyond the counts have none, counts beyond the vocabulary are left out.
        vocabulary_size: V, rows of the unembedding.
    """
    padded = np.zeros(vocabulary_size)
    shared = min(len(counts), vocabulary_size)
    padded[:shared] = counts[:shared]
    direction = np.log(padded + 1)
    direction -= direction.mean()
    return direction / np.linalg.norm(direction)


def weight_properties(layer: LastLayer, direction: np.ndarray) -> pd.DataFrame:
    """What the weights say about each neuron.

    Args:
        layer: the last layer; everything is computed in float64.
        direction: as :func:`unigram_direction` returns it.

    Returns:
        One row a neuron, in order, all NaN for a layer without a closed form, whose neurons do not write into the
        residual stream with their output weights alone. ``output_norm`` |w|; ``null_space_share`` share of |w|^2
        (centred where the norm centres, times its gain) in the unembedding's right singular directions with the
        smallest singular values; ``logit_variance`` variance over the vocabulary of ``B / |w gain|`` (their LogitVar);
        ``frequency_cosine`` cosine of ``B``, centred over the vocabulary, with the unigram direction.
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
    # |B| for all neurons without making B: B B^T = gained (U^T U) gained^T on the diagonal.
    logit_norm = ((gained @ squared) * gained).sum(1).clamp_min(0).sqrt()
    along = gained @ (centred.T @ torch.from_numpy(direction))
    singular = torch.linalg.eigh(layer.unembedding.T @ layer.unembedding)[1]  # by rising singular value
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

    Ablation moves the logits by ``(delta / s) B``; its part along the direction ``u`` is ``c u`` with
    ``c = (delta / s) B.u``. The effect of that part on the loss is ``ln E_p[exp(c u_v)] - c u_target``, a function of
    one number a pair, taken from the first three cumulants of ``u`` under the prediction.

    Args:
        layer: the last layer.
        residual: (T, d) residual entering the final norm.
        activation: (T, N).
        reference: (N,) values ablation puts in place.
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
    for first in progress(range(0, len(residual), ROWS_A_BATCH)):
        rows = slice(first, first + ROWS_A_BATCH)
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


def group_types(
    properties: pd.DataFrame,
    members: np.ndarray,
    controls: dict[str, Sequence[np.ndarray]],
) -> list[Estimate]:
    """Mean of each property over a group, against each kind of controls.

    Args:
        properties: one row a neuron, columns named in ``UNITS``.
        members: (n,) the group.
        controls: kind -> control groups of the same size.

    Returns:
        ``<property>.<kind>`` with its two-sided p, and ``<property>.<kind>.null_mean``.
    """
    found = []
    for name, unit in UNITS.items():
        values = properties[name].to_numpy()
        mean = float(values[members].mean())
        for kind, groups in controls.items():
            null = [float(values[group].mean()) for group in groups]
            found += against_controls(Estimate(f"{name}.{kind}", mean, unit, len(members)), [], null, "two-sided")
    return found
