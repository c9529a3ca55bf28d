"""Effect of ablating all neurons of a group at once, at each row, without running the model again.

Ablating a group at row ``t`` moves the residual to ``x' = x + sum_n delta_n w_n``, with ``delta_n = r_n - a[t, n]`` and
``w_n`` the output weights of its neurons. The final norm is recomputed (total effect). The group's effect is linear
before the norm, so the closed form of a single neuron (``influence.closed_form``) holds for the group as well. With
``x`` and ``w`` centred where the norm centres, ``s`` and ``s'`` the norm's scale before and after, ``z`` the
original logits without bias terms and ``B = (W_out gain) U^T``:

    h_v = (s / s' - 1) z_v + (1 / s') sum_n delta_n B[n, v]        change of logit v
    KL  = log sum_v p_v exp(h_v) - sum_v p_v h_v                   clean || ablated, nats
    dL  = KL + sum_v p_v h_v - h_target                            change of loss, nats

``p`` is the original prediction. With ``u = h - E_p[h]``, ``KL = log1p(sum_v p_v expm1(u_v))``. The sum is not
negative, so nothing cancels inside the logarithm, and two losses are never subtracted.

A (row, group) pair costs V exponentials, and the product that makes ``h``: V times the number of neurons or, for larger
groups, V times the residual's dimension.

Layers without a closed form (a norm after the MLP, soft-capped logits) are run again from the MLP's output up, in
float64.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from rareneurons.errors import CheckpointError
from rareneurons.influence.tiles import tiles_of
from rareneurons.models.last_layer import LastLayer

# Elements of one block of the sum over the vocabulary. On a CPU a block should stay in a core's second-level cache, on
# an accelerator it should be large enough to hide the launch of a kernel.
ELEMENTS_PER_BLOCK = {"cpu": 2**18, "accelerator": 2**26}
ROWS_PER_BLOCK = {"cpu": 64, "accelerator": 2**14}
NUMPY_PAYS = 4  # threads from which torch's expm1 is the quicker one
CLEAN = -1  # number of the pass over a tile of rows that comes before the groups and ablates none
TIE = 64  # roundings within which another token's logit equals the target's, as the target's own must

Progress = Callable[[Iterable[Any]], Iterable[Any]]
Effects = tuple[torch.Tensor, torch.Tensor, torch.Tensor]  # change of loss, divergence and ln rank change, (T,) each


@dataclass(frozen=True)
class JointEffects:
    """What joint ablation of each group does at each row.

    ``delta_loss`` (T, G): change of the target's loss, nats; ``divergence`` (T, G): Kullback-Leibler divergence of the
    clean prediction from the ablated one, ``sum_v p_v ln(p_v / p'_v)``, nats; ``rank_change`` (T, G): change of the
    natural logarithm of the target's rank, NaN where not asked for; ``clean_loss`` (T,): the loss without ablation,
    nats. All float64.
    """

    delta_loss: np.ndarray
    divergence: np.ndarray
    rank_change: np.ndarray
    clean_loss: np.ndarray


@dataclass(frozen=True)
class AblatedRows:
    """The rows that ablation works on.

    ``residual`` (T, d): input of the final norm; ``activation`` (T, N): the last MLP's neurons; ``reference`` (N,) or
    (T, N): what ablation puts in place of the activations; ``target`` (T,): ids of the next tokens.
    """

    residual: np.ndarray
    activation: np.ndarray
    reference: np.ndarray
    target: np.ndarray

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.residual)

    def at(self, rows: np.ndarray | slice) -> "AblatedRows":
        """Some of the rows."""
        reference = self.reference if self.reference.ndim == 1 else self.reference[rows]
        return AblatedRows(self.residual[rows], self.activation[rows], reference, self.target[rows])

    def delta(self, members: np.ndarray) -> np.ndarray:
        """What ablation adds to the activations of some neurons (n,), float64 (T, n)."""
        held = self.reference[..., members].astype(np.float64)
        return held - self.activation[:, members].astype(np.float64)


@dataclass
class _Tile:
    """A tile of rows before ablation."""

    rows: AblatedRows
    z: torch.Tensor  # (T, V), logits without bias terms, less their mean under p
    p: torch.Tensor  # (T, V)
    centred: torch.Tensor  # (T, d) float64, the residual as the final norm sees it
    scale_squared: torch.Tensor  # (T,) float64
    mean_direction: torch.Tensor  # (T, d) float64, p U
    target: torch.Tensor  # (T,)
    target_logit: torch.Tensor  # (T, 1) with bias terms, as z otherwise
    rank: torch.Tensor  # (T,) float64, of the target
    loss: torch.Tensor  # (T,) float64


@dataclass
class _Change:
    """How a group moves the logits of a tile: ``h = c z + coefficients directions``, less its mean under p."""

    c: torch.Tensor  # (T, 1)
    coefficients: torch.Tensor  # (T, k)
    directions: torch.Tensor  # (k, V)
    mean: torch.Tensor  # (T,) float64
    target: torch.Tensor  # (T,) float64, h of the target


def _above(values: torch.Tensor, bound: torch.Tensor) -> torch.Tensor:
    """How many values (T, V) of a row exceed its bound (T, 1), float64 (T,)."""
    return (values > bound).sum(-1).double()


def _index(members: np.ndarray, device: torch.device) -> torch.Tensor:
    """Neuron indices (n,) for a tensor on the device; a copy, since a table's columns may be read-only."""
    return torch.from_numpy(np.array(members, dtype=np.int64, order="C")).to(device)


def _tile(layer: LastLayer, rows: AblatedRows) -> _Tile:
    device, dtype = layer.unembedding.device, layer.unembedding.dtype
    centred = layer.centred(torch.from_numpy(rows.residual).to(device).double())
    scale_squared = centred.square().mean(-1) + layer.norm.epsilon
    z = ((centred / scale_squared.sqrt()[:, None]).to(dtype) * layer.norm.gain) @ layer.unembedding.T
    target = torch.from_numpy(rows.target.astype(np.int64)).to(device)
    p = z + layer.logit_bias
    rank = 1 + _above(p, p.gather(1, target[:, None]))
    p.sub_(p.amax(-1, keepdim=True))
    at_target = p.gather(1, target[:, None])[:, 0].double()
    total = p.exp_().sum(-1, keepdim=True)
    p.div_(total)
    loss = total[:, 0].double().log() - at_target
    z.sub_(torch.linalg.vecdot(p, z)[:, None])
    target_logit = z.gather(1, target[:, None]) + layer.logit_bias[target][:, None]
    return _Tile(rows, z, p, centred, scale_squared, (p @ layer.unembedding).double(), target, target_logit, rank, loss)


def _change(layer: LastLayer, tile: _Tile, members: np.ndarray) -> _Change:
    """How ablating a group (n,) moves a tile's logits; everything but the vocabulary-sized products in float64."""
    device, dtype = layer.unembedding.device, layer.unembedding.dtype
    delta = torch.from_numpy(tile.rows.delta(members)).to(device)
    weight = layer.centred(layer.output_weight[_index(members, device)].double())
    moved = delta @ weight
    growth = (moved * (2 * tile.centred + moved)).mean(-1)
    log_ratio = -0.5 * torch.log1p(growth / tile.scale_squared)
    factor = torch.exp(log_ratio) / tile.scale_squared.sqrt()
    gain = layer.norm.gain.double()
    scaled = moved * gain * factor[:, None]
    c = torch.expm1(log_ratio)
    z_target = tile.z.gather(1, tile.target[:, None])[:, 0].double()
    at_target = c * z_target + (scaled * layer.unembedding[tile.target].double()).sum(-1)
    n, width, n_rows = len(members), weight.shape[1], len(tile.z)
    if n * (n_rows + width) < width * n_rows:
        coefficients, directions = delta * factor[:, None], (weight * gain).to(dtype) @ layer.unembedding.T
    else:
        coefficients, directions = scaled, layer.unembedding.T
    mean = (scaled * tile.mean_direction).sum(-1)
    return _Change(c[:, None].to(dtype), coefficients.to(dtype), directions, mean, at_target)


def _blocks(n_rows: int, n_entries: int, device: torch.device) -> list[tuple[slice, list[slice]]]:
    """Blocks of rows, and slices of the vocabulary for each, so that a block stays within ``ELEMENTS_PER_BLOCK``."""
    kind = "cpu" if device.type == "cpu" else "accelerator"
    height = min(n_rows, ROWS_PER_BLOCK[kind])
    width = max(1, ELEMENTS_PER_BLOCK[kind] // height)
    slices = tiles_of(n_entries, width)
    return [(here, slices) for here in tiles_of(n_rows, height)]


def _expm1_(u: torch.Tensor) -> torch.Tensor:
    """``expm1`` in place.

    On a processor with AVX-512, NumPy's takes 0.35 ns per float32 value and torch's 1.2. NumPy's runs on one core.
    """
    quicker = torch.get_num_threads() < NUMPY_PAYS and torch.backends.cpu.get_cpu_capability() == "AVX512"
    if quicker and u.device.type == "cpu":
        np.expm1(u.numpy(), out=u.numpy())
        return u
    return u.expm1_()


def _sums(layer: LastLayer, tile: _Tile, change: _Change, with_rank: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """``sum_v p_v expm1(u_v)`` and the target's rank after ablation (1 without ``with_rank``), float64 (T,) each."""
    total = torch.zeros_like(change.mean)
    rank = torch.ones_like(change.mean)
    centre = change.mean[:, None].to(tile.z.dtype)
    bound = (change.target - change.mean)[:, None].to(tile.z.dtype) + tile.target_logit
    bound = bound + TIE * torch.finfo(bound.dtype).eps * (1 + bound.abs())
    for here, slices in _blocks(len(tile.z), tile.z.shape[1], tile.z.device):
        for entries in slices:
            z = tile.z[here, entries]
            u = torch.addcmul(-centre[here], change.c[here], z)
            u.addmm_(change.coefficients[here], change.directions[:, entries])
            if with_rank:
                rank[here] += _above(u + z + layer.logit_bias[entries], bound[here])
            total[here] += torch.linalg.vecdot(tile.p[here, entries], _expm1_(u))
    return total, rank


def _closed_form(layer: LastLayer, tile: _Tile, members: np.ndarray, with_rank: bool) -> Effects:
    """Change of loss, divergence and ln rank change of a tile, float64 (T,) each."""
    change = _change(layer, tile, members)
    total, rank = _sums(layer, tile, change, with_rank)
    # Rounding may leave a sum of nearly nothing just below zero, which it cannot be.
    divergence = torch.log1p(total.clamp_min(0))
    return divergence + change.mean - change.target, divergence, torch.log(rank / tile.rank)


def _closed_form_tile(
    layer: LastLayer, rows: AblatedRows, groups: Sequence[np.ndarray], with_rank: bool
) -> tuple[torch.Tensor, Iterator[Effects]]:
    """Clean loss (T,) of a tile, and the effects of each group, in closed form."""
    tile = _tile(layer, rows)
    return tile.loss, (_closed_form(layer, tile, members, with_rank) for members in groups)


def _rerun_tile(
    layer: LastLayer, rows: AblatedRows, groups: Sequence[np.ndarray]
) -> tuple[torch.Tensor, Iterator[Effects]]:
    """Clean loss (T,) of a tile, and the effects of each group, by running a float64 layer again."""
    device = layer.unembedding.device
    target = torch.from_numpy(rows.target.astype(np.int64)).to(device)[:, None]
    output = torch.from_numpy(rows.activation).to(device).double() @ layer.output_weight
    stream = torch.from_numpy(rows.residual).to(device).double() - layer.added_to_residual(output)

    def predicted(mlp_output: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        logits = layer.logits(stream + layer.added_to_residual(mlp_output))
        return torch.log_softmax(logits, -1), 1 + _above(logits, logits.gather(1, target))

    before, rank = predicted(output)
    p = before.exp()

    def effects(members: np.ndarray) -> Effects:
        delta = torch.from_numpy(rows.delta(members)).to(device)
        after, new_rank = predicted(output + delta @ layer.output_weight[_index(members, device)])
        gone = before - after
        return gone.gather(1, target)[:, 0], torch.linalg.vecdot(p, gone), torch.log(new_rank / rank)

    return -before.gather(1, target)[:, 0], map(effects, groups)


def _tiles(layer: LastLayer, rows: AblatedRows, memory_bytes: int) -> list[slice]:
    """Slices of the rows that fit the memory.

    The re-run holds seven arrays over the vocabulary per row. The closed form holds five as it prepares a tile, beside
    the centred unembedding and the directions of a group, which are no larger than that.
    """
    entries, width = layer.unembedding.shape
    size = layer.unembedding.element_size()
    closed = layer.no_closed_form is None
    beside = 2 * size * entries * width + 2 * size * ELEMENTS_PER_BLOCK["cpu"] if closed else 0
    per_tile = max(1, (memory_bytes - beside) // ((5 if closed else 7) * size * entries))
    return tiles_of(len(rows), per_tile)


@torch.inference_mode()
def joint_effects(
    layer: LastLayer,
    rows: AblatedRows,
    groups: Sequence[np.ndarray],
    with_rank: bool = True,
    memory_bytes: int = 2 * 1024**3,
    progress: Progress = iter,
) -> JointEffects:
    """Total effect of ablating all neurons of each group at once, at each row.

    Args:
        layer: the model's last layer. The arithmetic runs on its device; the closed form in its dtype, the re-run from
            the final norm in float64.
        rows: T rows.
        groups: G groups of neuron indices (n,).
        with_rank: whether the target's rank is wanted, too; it costs a third of the rest.
        memory_bytes: what the arrays made here may take together, beside the layer, the rows and the result.
        progress: wraps the loop over tiles of rows and groups.

    Returns:
        The effects. A group whose neurons are all at their references has an effect of exactly 0.

    Raises:
        CheckpointError: an effect is NaN or infinite.
    """
    closed = layer.no_closed_form is None
    layer = layer.with_centred_unembedding() if closed else layer.to(str(layer.unembedding.device), torch.float64)
    found, clean_loss = np.empty((3, len(rows), len(groups))), np.empty(len(rows))
    tiles = _tiles(layer, rows, memory_bytes)
    for here, group in progress([(here, group) for here in tiles for group in (CLEAN, *range(len(groups)))]):
        if group == CLEAN:
            effects: Iterator[Effects] = iter(())  # the last tile's arrays go before this one's are made
            part = rows.at(here)
            loss, effects = (
                _closed_form_tile(layer, part, groups, with_rank) if closed else _rerun_tile(layer, part, groups)
            )
            clean_loss[here] = loss.cpu().numpy()
            continue
        still = (part.delta(groups[group]) == 0).all(1)
        found[:, here, group] = np.where(still, 0, torch.stack(next(effects)).cpu().numpy())
    if not with_rank:
        found[2] = np.nan
    _refuse_non_finite(found[:2])
    return JointEffects(found[0], found[1], found[2], clean_loss)


def _refuse_non_finite(effects: np.ndarray) -> None:
    bad = ~np.isfinite(effects)
    if bad.any():
        raise CheckpointError(
            f"joint ablation: {int(bad.sum())} effects at {int(bad.any((0, 2)).sum())} rows are NaN or infinite; "
            "nothing is written. Check the checkpoint's weights"
        )
