"""How much of each neuron's effect passes through the unigram direction alone, and through the final norm alone."""

from collections.abc import Callable, Iterable

import numpy as np
import torch

from rareneurons.known_types.declared import FREQUENCY_EFFECT, NORM_EFFECT
from rareneurons.models.last_layer import LastLayer

ROWS_PER_BATCH = 256


def mediated_effects(
    layer: LastLayer,
    residual: np.ndarray,
    activation: np.ndarray,
    reference: np.ndarray,
    target: np.ndarray,
    direction: np.ndarray,
    progress: Callable[[Iterable[int]], Iterable[int]] = iter,
) -> dict[str, np.ndarray]:
    """Mean absolute effect of each neuron through one part of the change of logits alone.

    Ablation changes the logits by ``h = c z + (delta / s') B`` (``influence.closed_form``), with ``z`` the logits
    without bias terms and ``c = s / s' - 1``. ``frequency_effect`` is that of the part of ``(delta / s) B`` along the
    unigram direction ``u``, which is ``(delta / s) (B.u) u``. ``norm_effect`` is that of ``c z``, as if the neuron
    changed the norm's scale and nothing else. The effect of ``h = k v`` on the loss is ``ln E_p[exp(k v)] - k
    v_target``. It is computed for each row and neuron from the first three cumulants of ``v`` under the prediction.

    Args:
        layer: the last layer.
        residual: (T, d) residual that enters the final norm.
        activation: (T, N) activations.
        reference: (N,) or (T, N) values that ablation puts in their place.
        target: (T,) token ids.
        direction: (V,) unigram direction, as :func:`unigram_direction` returns it.
        progress: wraps the loop over batches of rows.

    Returns:
        ``frequency_effect`` and ``norm_effect``, float64 (N,), nats; NaN for a layer without a closed form.
    """
    n = len(layer.output_weight)
    if layer.no_closed_form is not None:
        return dict.fromkeys((FREQUENCY_EFFECT, NORM_EFFECT), np.full(n, np.nan))
    device, u = layer.unembedding.device, torch.from_numpy(direction).to(layer.unembedding)
    weight = layer.centred(layer.output_weight).double()
    along = ((weight * layer.norm.gain) @ (layer.unembedding.T @ u).double()).double()
    total = torch.zeros(2, n, dtype=torch.float64, device=device)
    for first in progress(range(0, len(residual), ROWS_PER_BATCH)):
        rows = slice(first, first + ROWS_PER_BATCH)
        x = layer.centred(torch.from_numpy(residual[rows]).to(device).double())
        held = torch.from_numpy(np.asarray(reference if reference.ndim == 1 else reference[rows])).to(device)
        delta = held.double() - torch.from_numpy(activation[rows]).to(device).double()
        squared = x.square().mean(-1, keepdim=True) + layer.norm.epsilon
        growth = delta * (2 * (x @ weight.T) + delta * weight.square().sum(1)) / x.shape[1]
        z = ((x / squared.sqrt()).to(u) * layer.norm.gain) @ layer.unembedding.T
        p = torch.softmax(z + layer.logit_bias, dim=-1)
        chosen = torch.from_numpy(target[rows].astype(np.int64)).to(device)
        by_norm = torch.expm1(-0.5 * torch.log1p(growth / squared))
        total[0] += _effects(delta / squared.sqrt() * along, u.expand_as(z), p, chosen).abs().sum(0)
        total[1] += _effects(by_norm, z, p, chosen).abs().sum(0)
    mean = (total / len(residual)).cpu().numpy()
    return {FREQUENCY_EFFECT: mean[0], NORM_EFFECT: mean[1]}


def _effects(k: torch.Tensor, v: torch.Tensor, p: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Change of loss (T, N) for changes of logits ``k v``: k (T, N), v and p (T, V), target (T,)."""
    mean = torch.linalg.vecdot(p, v)
    deviation = v - mean[:, None]
    second = torch.linalg.vecdot(p, deviation.square()).double()[:, None]
    third = torch.linalg.vecdot(p, deviation**3).double()[:, None]
    gap = (mean - v.gather(1, target[:, None])[:, 0]).double()[:, None]
    return k * (gap + k * (second / 2 + k * third / 6))
