"""Change of the target's loss when one last-MLP neuron is ablated, for every neuron, without running the model again.

Ablating neuron ``n`` at row ``t`` (activation ``a``, reference ``r``) moves the residual to
``x' = x + delta w_n`` with ``delta = r_n - a[t, n]`` and ``w_n`` its output weights; the final norm is recomputed
(total effect, paper section 3; DESIGN 5.2). With ``x`` and ``w_n`` centred where the norm centres, ``s`` and ``s'``
the norm's scale before and after, ``z`` the original logits without bias terms and ``B = (W_out gain) U^T``:

    h_v = (s / s' - 1) z_v + (delta / s') B[n, v]            change of logit v
    dL  = log sum_v p_v exp(h_v) - h_target                  change of loss, nats

``p`` is the original prediction. Neither form subtracts two losses, so effects of 1e-7 nats keep their digits.
Adding a constant to ``h`` changes nothing, so ``z`` is centred by ``p`` and ``B`` by its mean over the vocabulary.

Two ways to the sum over the vocabulary:

* *exact*: ``log1p(sum_v p_v expm1(h_v))``, V operations a (row, neuron) pair;
* *series*: with ``u = h - E_p[h]``, ``log1p(E_p[u^2] / 2 + E_p[u^3] / 6)``. The moments are matrix products
  (``E_p[z^i B_n^j] = (P z^i)(B^j)^T``). Cut after the cubic term the error is at most ``M^2 E_p[u^2] e^M / 24``
  with ``M >= max |u|``, which the ranges of ``z[t]`` and ``B[n]`` bound; a pair takes the series only where this
  certified error is below the tolerance.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from rareneurons.errors import CheckpointError
from rareneurons.influence.sums import InfluenceSums
from rareneurons.models.last_layer import LastLayer

Method = Literal["exact", "certified"]

# One block of the exact sum should stay in a core's second-level cache: 64 pairs x 1024 words x 4 bytes = 256 KiB.
PAIRS_A_BLOCK = 64
VOCABULARY_A_BLOCK = 1024


@dataclass(frozen=True)
class PairCounts:
    """How many (row, neuron) pairs took which way to the sum over the vocabulary."""

    exact: int = 0
    series: int = 0

    def __add__(self, other: "PairCounts") -> "PairCounts":
        """Sum of two tallies."""
        return PairCounts(self.exact + other.exact, self.series + other.series)


@dataclass(frozen=True)
class DeltaLoss:
    """Effects of a tile of neurons on a tile of rows: ``values`` float64 (rows, neurons), in nats."""

    rows: slice
    neurons: slice
    values: torch.Tensor
    pairs: PairCounts


@dataclass
class _Rows:
    """A tile of rows before ablation: centred logits, their prediction and what the series needs of them."""

    z: torch.Tensor  # (T, V), less its mean under p
    p: torch.Tensor  # (T, V)
    z_variance: torch.Tensor  # (T,)
    z_third: torch.Tensor  # (T,)
    z_min: torch.Tensor  # (T,)
    z_max: torch.Tensor  # (T,)
    scale_squared: torch.Tensor  # (T,) float64
    centred_residual: torch.Tensor  # (T, d) float64


@dataclass
class _Neurons:
    """A tile of neurons seen through the unembedding."""

    b: torch.Tensor  # (N, V), less its mean over V
    b_min: torch.Tensor  # (N,)
    b_max: torch.Tensor  # (N,)
    centred_weight: torch.Tensor  # (N, d) float64


def _prepare_rows(layer: LastLayer, residual: torch.Tensor) -> _Rows:
    centred = layer.centred(residual.double())
    scale_squared = centred.square().mean(-1) + layer.norm.epsilon
    normed = (centred / scale_squared.sqrt()[:, None]).to(layer.unembedding.dtype)
    z = (normed * layer.norm.gain) @ layer.unembedding.T
    p = torch.softmax(z + layer.logit_bias, dim=-1)
    z -= (p * z).sum(-1, keepdim=True)
    weighted = p * z
    return _Rows(
        z=z,
        p=p,
        z_variance=(weighted * z).sum(-1),
        z_third=(weighted * z * z).sum(-1),
        z_min=z.amin(-1),
        z_max=z.amax(-1),
        scale_squared=scale_squared,
        centred_residual=centred,
    )


def _prepare_neurons(layer: LastLayer, neurons: slice) -> _Neurons:
    centred = layer.centred(layer.output_weight[neurons].double())
    b = (centred.to(layer.unembedding.dtype) * layer.norm.gain) @ layer.unembedding.T
    b -= b.mean(-1, keepdim=True)
    return _Neurons(b=b, b_min=b.amin(-1), b_max=b.amax(-1), centred_weight=centred)


def _logit_change_coefficients(
    rows: _Rows, neurons: _Neurons, delta: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """``c = s / s' - 1`` and ``e = delta / s'``, float64 (T, N); accurate however small ``delta`` is."""
    width = rows.centred_residual.shape[1]
    along = rows.centred_residual @ neurons.centred_weight.T
    growth = delta * (2 * along + delta * neurons.centred_weight.square().sum(-1)) / width
    log_ratio = -0.5 * torch.log1p(growth / rows.scale_squared[:, None])
    scale = rows.scale_squared.sqrt()[:, None]
    return torch.expm1(log_ratio), delta * torch.exp(log_ratio) / scale


def _series(
    rows: _Rows, neurons: _Neurons, c: torch.Tensor, e: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """``log E_p[exp(h)]`` by the cubic series, ``E_p[h]`` and the certified error, each float64 (T, N)."""
    b, b_squared = neurons.b, neurons.b.square()
    weighted = rows.p * rows.z
    e_b = (rows.p @ b.T).double()
    e_bb = (rows.p @ b_squared.T).double()
    e_zb = (weighted @ b.T).double()
    e_zbb = (weighted @ b_squared.T).double()
    e_zzb = ((weighted * rows.z) @ b.T).double()
    e_bbb = (rows.p @ (b_squared * b).T).double()
    var_b = (e_bb - e_b.square()).clamp_min(0)
    # Third central moments of z (whose mean is zero) and B.
    third_b = e_bbb - 3 * e_b * e_bb + 2 * e_b**3
    third_zbb = e_zbb - 2 * e_b * e_zb
    z_variance, z_third = rows.z_variance.double()[:, None], rows.z_third.double()[:, None]
    third_zzb = e_zzb - e_b * z_variance
    mean = e * e_b
    variance = (c.square() * z_variance + 2 * c * e * e_zb + e.square() * var_b).clamp_min(0)
    third = c**3 * z_third + 3 * c.square() * e * third_zzb + 3 * c * e.square() * third_zbb + e**3 * third_b
    largest = _largest_deviation(rows, neurons, c, e, mean)
    error = largest.square() * variance * torch.exp(largest) / 24
    return mean + torch.log1p(variance / 2 + third / 6), mean, error


def _largest_deviation(
    rows: _Rows, neurons: _Neurons, c: torch.Tensor, e: torch.Tensor, mean: torch.Tensor
) -> torch.Tensor:
    """Upper bound of ``max_v |h_v - E_p[h]|``, (T, N), from the ranges of ``z`` and ``B``."""
    z_ends = c * rows.z_min.double()[:, None], c * rows.z_max.double()[:, None]
    b_ends = e * neurons.b_min.double(), e * neurons.b_max.double()
    highest = torch.maximum(*z_ends) + torch.maximum(*b_ends)
    lowest = torch.minimum(*z_ends) + torch.minimum(*b_ends)
    return torch.maximum(highest - mean, mean - lowest)


def _exact_log_mean_exp(
    rows: _Rows, neurons: _Neurons, c: torch.Tensor, e: torch.Tensor, wanted: torch.Tensor
) -> torch.Tensor:
    """``log E_p[exp(h)]`` of the wanted pairs by the sum over the vocabulary, in blocks that fit the cache.

    Args:
        rows: tile of T rows.
        neurons: tile of N neurons.
        c: (T, N) coefficient of ``z``.
        e: (T, N) coefficient of ``B``.
        wanted: boolean (T, N).

    Returns:
        Float64 (number of wanted pairs,), in the order of ``wanted.nonzero()``.
    """
    dtype, device = rows.z.dtype, rows.z.device
    vocabulary = rows.z.shape[1]
    sums = []
    for t in torch.nonzero(wanted.any(1)).flatten().tolist():
        columns = torch.nonzero(wanted[t]).flatten()
        c_t, e_t = c[t, columns].to(dtype), e[t, columns].to(dtype)
        total = torch.zeros(len(columns), dtype=torch.float64, device=device)
        for first in range(0, len(columns), PAIRS_A_BLOCK):
            part = slice(first, first + PAIRS_A_BLOCK)
            for start in range(0, vocabulary, VOCABULARY_A_BLOCK):
                words = slice(start, start + VOCABULARY_A_BLOCK)
                h = neurons.b[columns[part], words]
                h *= e_t[part, None]
                h.addr_(c_t[part], rows.z[t, words])
                total[part] += torch.expm1_(h).mv(rows.p[t, words])
        sums.append(total)
    return torch.log1p(torch.cat(sums)) if sums else torch.zeros(0, dtype=torch.float64, device=device)


def _tile(
    rows: _Rows, neurons: _Neurons, delta: torch.Tensor, target: torch.Tensor, method: Method, tolerance: float
) -> tuple[torch.Tensor, PairCounts]:
    c, e = _logit_change_coefficients(rows, neurons, delta)
    if method == "certified":
        log_mean_exp, _, error = _series(rows, neurons, c, e)
        wanted = error > tolerance
    else:
        log_mean_exp, wanted = torch.zeros_like(c), torch.ones_like(c, dtype=torch.bool)
    # A neuron at its reference value changes nothing, exactly.
    wanted &= delta != 0
    log_mean_exp[wanted] = _exact_log_mean_exp(rows, neurons, c, e, wanted)
    z_target = rows.z.gather(1, target[:, None]).double()
    b_target = neurons.b[:, target].T.double()
    delta_loss = log_mean_exp - (c * z_target + e * b_target)
    n_exact = int(wanted.sum())
    return delta_loss, PairCounts(n_exact, wanted.numel() - n_exact)


def delta_loss_tiles(
    layer: LastLayer,
    residual: torch.Tensor,
    activation: torch.Tensor,
    reference: torch.Tensor,
    target: torch.Tensor,
    method: Method = "certified",
    tolerance: float = 1e-5,
    memory_bytes: int = 2 * 1024**3,
) -> Iterator[DeltaLoss]:
    """Total effect of ablating each neuron at each row, tile by tile.

    Args:
        layer: the model's last layer; its dtype is the one the vocabulary-sized arithmetic runs in.
        residual: (T, d) input of the final norm.
        activation: (T, N) neurons' activations.
        reference: (N,) or (T, N) values that ablation puts in the activations' place.
        target: (T,) integer ids of the next tokens.
        method: ``exact`` sums over the vocabulary for every pair, ``certified`` where the series' error bound is
            above ``tolerance``.
        tolerance: largest certified error of a pair, nats.
        memory_bytes: what the vocabulary-sized arrays may take together.

    Yields:
        Tiles that together cover all pairs, neurons outermost.
    """
    n_rows, n_neurons = activation.shape
    neurons_a_tile, rows_a_tile = _tile_shape(layer, n_rows, n_neurons, memory_bytes)
    for first_neuron in range(0, n_neurons, neurons_a_tile):
        mine = slice(first_neuron, min(first_neuron + neurons_a_tile, n_neurons))
        neurons = _prepare_neurons(layer, mine)
        for first_row in range(0, n_rows, rows_a_tile):
            here = slice(first_row, min(first_row + rows_a_tile, n_rows))
            held = reference[mine] if reference.ndim == 1 else reference[here, mine]
            delta = held.double() - activation[here, mine].double()
            rows = _prepare_rows(layer, residual[here])
            values, pairs = _tile(rows, neurons, delta, target[here], method, tolerance)
            yield DeltaLoss(here, mine, values, pairs)


def _tile_shape(layer: LastLayer, n_rows: int, n_neurons: int, memory_bytes: int) -> tuple[int, int]:
    """Neurons and rows a tile: three vocabulary-sized arrays a neuron, six a row, half the memory for each kind."""
    word = layer.unembedding.element_size() * layer.unembedding.shape[0]
    neurons = max(1, memory_bytes // 2 // (3 * word))
    rows = max(1, min(memory_bytes // 2 // (6 * word), 512))
    return min(neurons, n_neurons), min(rows, n_rows)


def sum_by_document(
    tiles: Iterable[DeltaLoss],
    n_neurons: int,
    document: np.ndarray,
    masks: dict[str, np.ndarray],
    report_pairs: Callable[[PairCounts], None] = lambda pairs: None,
) -> dict[str, InfluenceSums]:
    """Add up tiles of effects by document, once for every mask over the rows.

    Args:
        tiles: effects, as :func:`delta_loss_tiles` yields them.
        n_neurons: N.
        document: (T,) document id of each row.
        masks: name -> boolean (T,).
        report_pairs: receives each tile's pair counts.

    Returns:
        Name of the mask -> sums over the documents that have a row in it.

    Raises:
        CheckpointError: an effect is NaN or infinite.
    """
    ids = {name: np.unique(document[mask]) for name, mask in masks.items()}
    signed = {name: torch.zeros(len(found), n_neurons, dtype=torch.float64) for name, found in ids.items()}
    absolute = {name: torch.zeros_like(sums) for name, sums in signed.items()}
    for tile in tiles:
        values = tile.values.cpu()
        if not torch.isfinite(values).all():
            bad = int((~torch.isfinite(values)).sum())
            raise CheckpointError(
                f"influence: {bad} effects of neurons {tile.neurons.start}-{tile.neurons.stop - 1} are NaN or "
                "infinite; nothing is written. Check the checkpoint's weights"
            )
        for name, mask in masks.items():
            here = np.flatnonzero(mask[tile.rows])
            place = torch.from_numpy(np.searchsorted(ids[name], document[tile.rows][here]))
            signed[name][:, tile.neurons].index_add_(0, place, values[here])
            absolute[name][:, tile.neurons].index_add_(0, place, values[here].abs())
        report_pairs(tile.pairs)
    return {
        name: InfluenceSums(
            found,
            np.bincount(np.searchsorted(found, document[masks[name]]), minlength=len(found)),
            signed[name].numpy(),
            absolute[name].numpy(),
        )
        for name, found in ids.items()
    }


def reference_values(trace: Mapping[str, np.ndarray], reference: str) -> np.ndarray:
    """What ablation puts in the neurons' place, float64 (N,): their ``mean`` over evaluated positions, or ``zero``."""
    mean = trace["mean_activation"]
    return mean if reference == "mean" else np.zeros_like(mean)


@torch.inference_mode()
def influence_by_document(
    layer: LastLayer,
    trace: Mapping[str, np.ndarray],
    target: np.ndarray,
    document: np.ndarray,
    masks: dict[str, np.ndarray],
    reference: str,
    tolerance: float,
    memory_bytes: int,
    progress: Callable[[Iterable[DeltaLoss]], Iterable[DeltaLoss]] = iter,
) -> tuple[dict[str, InfluenceSums], PairCounts]:
    """Effects of all last-MLP neurons, added up by document for every mask over the rows.

    Args:
        layer: the model's last layer; the arithmetic runs on its device, in its dtype.
        trace: ``activation`` (T, N), ``residual`` (T, d) and ``mean_activation`` (N,), as :class:`Trace` holds them.
        target: (T,) ids of the next tokens.
        document: (T,) document ids.
        masks: name -> boolean (T,).
        reference: ``mean`` or ``zero``.
        tolerance: largest certified error of a pair, nats.
        memory_bytes: what the vocabulary-sized arrays may take.
        progress: wraps the loop over tiles.

    Returns:
        Name of the mask -> sums, and how many pairs took which way.
    """
    device = layer.unembedding.device
    tiles = delta_loss_tiles(
        layer,
        torch.from_numpy(trace["residual"]).to(device),
        torch.from_numpy(trace["activation"]).to(device),
        torch.from_numpy(reference_values(trace, reference)).to(device),
        torch.from_numpy(target.astype(np.int64)).to(device),
        "certified",
        tolerance,
        memory_bytes,
    )
    tally: list[PairCounts] = []
    sums = sum_by_document(progress(tiles), trace["activation"].shape[1], document, masks, tally.append)
    return sums, sum(tally, PairCounts())
