"""Change of the target's loss when one last-MLP neuron is ablated, for every neuron, without running the model again.

Ablating neuron ``n`` at row ``t`` (activation ``a``, reference ``r``) moves the residual to
``x' = x + delta w_n`` with ``delta = r_n - a[t, n]`` and ``w_n`` its output weights; the final norm is recomputed
(total effect, paper section 3). With ``x`` and ``w_n`` centred where the norm centres, ``s`` and ``s'``
the norm's scale before and after, ``z`` the original logits without bias terms and ``B = (W_out gain) U^T``:

    h_v = (s / s' - 1) z_v + (delta / s') B[n, v]            change of logit v
    dL  = log sum_v p_v exp(h_v) - h_target                  change of loss, nats

``p`` is the original prediction. No two losses are subtracted, so effects of 1e-7 nats keep their digits.
Adding a constant to ``h`` changes nothing, so ``z`` is centred by ``p`` and ``B`` by its mean over the vocabulary.

The sum over the vocabulary is computed in one of two ways:

* *exact*: ``log1p(sum_v p_v expm1(h_v))``, V operations per (row, neuron) pair;
* *series*: with ``u = h - E_p[h]`` and ``m_k = E_p[u^k]``, ``log1p(m_2 / 2 + m_3 / 6 [+ m_4 / 24])``. The moments are
  matrix products (``E_p[z^i B_n^j] = (P z^i)(B^j)^T``). By Taylor's theorem the error of the cubic series is at most
  ``m_4 e^H / 24 <= M^2 m_2 e^H / 24``, that of the quartic one ``M m_4 e^H / 120``, with ``M >= max |u|`` and
  ``H >= max u`` from the ranges of ``z[t]`` and ``B[n]``. A pair uses the cubic series if this certified error is
  below the tolerance, else the quartic one (its additional products are computed for those neurons only), else the
  exact sum.

The *direct* effect keeps the norm's scale fixed, ``s' = s``, so that ``h = (delta / s) B_n``.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import torch

from rareneurons.errors import CheckpointError
from rareneurons.influence.parts import InOrder, side_by_side, threads_for
from rareneurons.influence.tiles import DeltaLoss, PairCounts, tiles_of
from rareneurons.models.last_layer import LastLayer

Method = Literal["exact", "certified"]
Effect = Literal["total", "direct"]

# Elements per block of the exact sum. On a CPU the block should fit into a core's second-level cache (512 KiB in
# float32). On an accelerator it should be large enough to hide the launch of a kernel.
ELEMENTS_PER_BLOCK = {"cpu": 2**17, "accelerator": 2**26}
PAIRS_PER_BLOCK = 64
# Vocabulary entries per slice in the series' matrix products. B of a slice and its powers should fit into the caches
# too.
ENTRIES_PER_SLICE = {"cpu": 1024, "accelerator": 2**13}
ROWS_PER_TILE = {"cpu": 128, "accelerator": 512}  # at most; larger tiles are hardly faster
QUARTIC_PAYS = 0.04  # if more than this share of a neuron's pairs is left, its four products cost less than exact sums
ROUNDING_SLACK = 1e-5  # largest error of a float32 fourth moment, as a share of its upper bound


@dataclass
class _Rows:
    """A tile of rows before ablation: centred logits, their prediction, and the moments that the series uses."""

    z: torch.Tensor  # (T, V), less its mean under p
    p: torch.Tensor  # (T, V)
    z_moments: dict[int, torch.Tensor]  # E_p[z^k] for k = 2, 3, 4, float64 (T, 1)
    z_min: torch.Tensor  # (T, 1) float64
    z_max: torch.Tensor  # (T, 1) float64
    scale_squared: torch.Tensor  # (T,) float64
    centred_residual: torch.Tensor  # (T, d) float64


@dataclass
class _Neurons:
    """A tile of neurons and their ``B``, which all tiles of rows use."""

    gained: torch.Tensor  # (N, d), centred, times the norm's gain; B is its product with the unembedding
    centred_weight: torch.Tensor  # (N, d) float64
    b: torch.Tensor  # (N, V)
    b_min: torch.Tensor  # (N,) float64
    b_max: torch.Tensor  # (N,) float64


def _kind(tensor: torch.Tensor) -> str:
    return "cpu" if tensor.device.type == "cpu" else "accelerator"


def _slices(entries: torch.Tensor) -> list[slice]:
    """Slices of the last dimension, the vocabulary."""
    return tiles_of(entries.shape[-1], ENTRIES_PER_SLICE[_kind(entries)])


def _prepare_rows(layer: LastLayer, residual: torch.Tensor) -> _Rows:
    """Logits and prediction of a tile of rows. No other array is as wide as the vocabulary."""
    centred = layer.centred(residual.double())
    scale_squared = centred.square().mean(-1) + layer.norm.epsilon
    normed = (centred / scale_squared.sqrt()[:, None]).to(layer.unembedding.dtype)
    z = (normed * layer.norm.gain) @ layer.unembedding.T
    p = z + layer.logit_bias
    p.sub_(p.amax(-1, keepdim=True)).exp_().div_(p.sum(-1, keepdim=True))
    mean = sum((p[:, entries] * z[:, entries]).sum(-1, keepdim=True) for entries in _slices(z))
    z.sub_(mean)
    moments = {power: centred.new_zeros(len(z), 1) for power in (2, 3, 4)}
    for entries in _slices(z):
        weighted = p[:, entries] * z[:, entries]
        for moment in moments.values():
            moment += weighted.mul_(z[:, entries]).sum(-1, keepdim=True)
    z_min, z_max = z.aminmax(dim=-1, keepdim=True)
    return _Rows(z, p, moments, z_min.double(), z_max.double(), scale_squared, centred)


def _prepare_neurons(layer: LastLayer, neurons: slice, in_order: InOrder, n_threads: int) -> _Neurons:
    centred = layer.centred(layer.output_weight[neurons].double())
    gained = centred.to(layer.unembedding.dtype) * layer.norm.gain
    b = gained.new_empty(len(gained), len(layer.unembedding))

    def range_of(mine: slice) -> tuple[torch.Tensor, torch.Tensor]:
        torch.mm(gained[mine], layer.unembedding.T, out=b[mine])
        return b[mine].aminmax(dim=-1)

    ranges = list(in_order(range_of, tiles_of(len(gained), -(-len(gained) // n_threads))))
    b_min, b_max = (torch.cat(each).double() for each in zip(*ranges, strict=True))
    return _Neurons(gained, centred, b, b_min, b_max)


def _logit_change_coefficients(
    rows: _Rows, neurons: _Neurons, delta: torch.Tensor, effect: Effect
) -> tuple[torch.Tensor, torch.Tensor]:
    """``c = s / s' - 1`` and ``e = delta / s'``, float64 (T, N). They are accurate for any ``delta``, however small."""
    scale = rows.scale_squared.sqrt()[:, None]
    if effect == "direct":
        return torch.zeros_like(delta), delta / scale
    width = rows.centred_residual.shape[1]
    along = rows.centred_residual @ neurons.centred_weight.T
    growth = delta * (2 * along + delta * neurons.centred_weight.square().sum(-1)) / width
    log_ratio = -0.5 * torch.log1p(growth / rows.scale_squared[:, None])
    return torch.expm1(log_ratio), delta * torch.exp(log_ratio) / scale


@dataclass
class _Series:
    """The series' sums for a tile, each float64 (T, N): moments of ``u`` and bounds of its range."""

    mean: torch.Tensor  # E_p[h]
    second: torch.Tensor  # m_2
    third: torch.Tensor  # m_3
    largest: torch.Tensor  # M >= max |u|
    highest: torch.Tensor  # H >= max u

    def cubic(self) -> tuple[torch.Tensor, torch.Tensor]:
        """``log E_p[exp(h)]`` and its certified error."""
        error = self.largest.square() * self.second * torch.exp(self.highest) / 24
        return self.mean + torch.log1p(self.second / 2 + self.third / 6), error


def _weighted(rows: _Rows, entries: slice, highest: int) -> torch.Tensor:
    """``p z^i`` of a slice of the vocabulary for i = 0 ... highest, (highest + 1, T, entries)."""
    z = rows.z[:, entries]
    stacked = z.new_empty(highest + 1, *z.shape)
    stacked[0] = rows.p[:, entries]
    for power in range(1, highest + 1):
        torch.mul(stacked[power - 1], z, out=stacked[power])
    return stacked


def _cubic_sums(rows: _Rows, neurons: _Neurons, unembedding: torch.Tensor) -> dict[tuple[int, int], torch.Tensor]:
    """``E_p[z^i B^j]``, float64 (T, N), for j >= 1 and i + j <= 3; the vocabulary is summed in slices.

    Powers of ``B`` exist for one slice at a time. ``B`` is linear in the unembedding (V, d), so for j = 1 the slice is
    multiplied with the unembedding (d columns) and not with ``B`` (N columns). Products with the same right-hand side
    are computed together.
    """
    n_rows, n_neurons = len(rows.z), len(neurons.gained)
    linear = rows.z.new_zeros(3 * n_rows, unembedding.shape[1])
    square, cube = rows.z.new_zeros(2 * n_rows, n_neurons), rows.z.new_zeros(n_rows, n_neurons)
    for entries in _slices(rows.z):
        weighted = _weighted(rows, entries, 2)
        linear.addmm_(weighted.flatten(0, 1), unembedding[entries])
        b = neurons.b[:, entries]
        power = b * b
        square.addmm_(weighted[:2].flatten(0, 1), power.T)
        cube.addmm_(weighted[0], power.mul_(b).T)
    by_z = (linear @ neurons.gained.T).double().unflatten(0, (3, n_rows))
    squares = square.double().unflatten(0, (2, n_rows))
    return {
        (0, 1): by_z[0],
        (1, 1): by_z[1],
        (2, 1): by_z[2],
        (0, 2): squares[0],
        (1, 2): squares[1],
        (0, 3): cube.double(),
    }


def _quartic_sums(rows: _Rows, neurons: _Neurons, columns: torch.Tensor) -> dict[tuple[int, int], torch.Tensor]:
    """``E_p[z^i B^j]``, float64 (T, columns), for j >= 1 and i + j = 4. There are few columns."""
    sums = {j: rows.z.new_zeros(len(rows.z), len(columns)) for j in (1, 2, 3, 4)}
    for entries in _slices(rows.z):
        weighted = _weighted(rows, entries, 3)
        b = neurons.b[:, entries].index_select(0, columns)
        power = b
        for j, total in sums.items():
            total.addmm_(weighted[4 - j], power.T)
            power = power * b
    return {(4 - j, j): total.double() for j, total in sums.items()}


def _shortest_series(
    rows: _Rows, neurons: _Neurons, unembedding: torch.Tensor, c: torch.Tensor, e: torch.Tensor, tolerance: float
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """``log E_p[exp(h)]`` (T, N) by the shortest certified series; is it the cubic one; is any certified."""
    raw = _cubic_sums(rows, neurons, unembedding)
    series = _cubic_moments(rows, neurons, raw, c, e)
    value, error = series.cubic()
    cubic = error <= tolerance
    certified = cubic.clone()
    columns = torch.nonzero((~cubic).double().mean(0) > QUARTIC_PAYS).flatten()
    if len(columns):
        raw = {order: moment[:, columns] for order, moment in raw.items()} | _quartic_sums(rows, neurons, columns)
        fourth = _fourth_moment(rows, raw, c[:, columns], e[:, columns])
        second, largest, highest = (x[:, columns] for x in (series.second, series.largest, series.highest))
        # m_4 <= M^2 m_2 always holds. The error of m_4 by float32 rounding is a small share of that bound.
        most = largest.square() * second
        bound = torch.minimum(fourth + ROUNDING_SLACK * most, most)
        error = largest * bound * torch.exp(highest) / 120
        longer = series.mean[:, columns] + torch.log1p(second / 2 + series.third[:, columns] / 6 + fourth / 24)
        value[:, columns] = torch.where(cubic[:, columns], value[:, columns], longer)
        certified[:, columns] |= error <= tolerance
    return value, cubic, certified


def _cubic_moments(
    rows: _Rows,
    neurons: _Neurons,
    raw: dict[tuple[int, int], torch.Tensor],
    c: torch.Tensor,
    e: torch.Tensor,
) -> _Series:
    """Moments of ``u`` up to the third from the raw ones. Under ``p``, ``z`` has mean zero but ``B`` does not."""
    b, z2, z3 = raw[0, 1], rows.z_moments[2], rows.z_moments[3]
    bb = (raw[0, 2] - b.square()).clamp_min(0)
    zbb = raw[1, 2] - 2 * b * raw[1, 1]
    zzb = raw[2, 1] - b * z2
    bbb = raw[0, 3] - 3 * b * raw[0, 2] + 2 * b**3
    mean = e * b
    highest = torch.maximum(c * rows.z_min, c * rows.z_max) + torch.maximum(e * neurons.b_min, e * neurons.b_max)
    lowest = torch.minimum(c * rows.z_min, c * rows.z_max) + torch.minimum(e * neurons.b_min, e * neurons.b_max)
    return _Series(
        mean=mean,
        second=(c.square() * z2 + 2 * c * e * raw[1, 1] + e.square() * bb).clamp_min(0),
        third=c**3 * z3 + 3 * c.square() * e * zzb + 3 * c * e.square() * zbb + e**3 * bbb,
        largest=torch.maximum(highest - mean, mean - lowest),
        highest=highest - mean,
    )


def _fourth_moment(
    rows: _Rows, raw: dict[tuple[int, int], torch.Tensor], c: torch.Tensor, e: torch.Tensor
) -> torch.Tensor:
    """``m_4`` (T, N) from the raw moments."""
    b, z2, z3, z4 = raw[0, 1], rows.z_moments[2], rows.z_moments[3], rows.z_moments[4]
    zzzb = raw[3, 1] - b * z3
    zzbb = raw[2, 2] - 2 * b * raw[2, 1] + b.square() * z2
    zbbb = raw[1, 3] - 3 * b * raw[1, 2] + 3 * b.square() * raw[1, 1]
    bbbb = raw[0, 4] - 4 * b * raw[0, 3] + 6 * b.square() * raw[0, 2] - 3 * b**4
    fourth = c**4 * z4 + 4 * c**3 * e * zzzb + 6 * c.square() * e.square() * zzbb + 4 * c * e**3 * zbbb + e**4 * bbbb
    return fourth.clamp_min(0)


def _exact_sums(
    z: torch.Tensor, p: torch.Tensor, b: torch.Tensor, chosen: torch.Tensor, c: torch.Tensor, e: torch.Tensor
) -> torch.Tensor:
    """``sum_v p_v expm1(c z_v + e B_v)`` of one row (V,) and its chosen rows of ``b``, block by block."""
    total = torch.zeros(len(chosen), dtype=torch.float64, device=z.device)
    for part in tiles_of(len(chosen), PAIRS_PER_BLOCK):
        c_part, e_part = c[part], e[part, None]
        width = max(1, ELEMENTS_PER_BLOCK[_kind(z)] // len(c_part))
        for entries in tiles_of(len(z), width):
            h = b[:, entries].index_select(0, chosen[part])
            h.mul_(e_part).addr_(c_part, z[entries])
            total[part] += torch.expm1_(h).mv(p[entries])
    return total


def _tile(
    layer: LastLayer,
    rows: _Rows,
    neurons: _Neurons,
    delta: torch.Tensor,
    target: torch.Tensor,
    method: Method,
    effect: Effect,
    tolerance: float,
) -> tuple[torch.Tensor, PairCounts]:
    c, e = _logit_change_coefficients(rows, neurons, delta, effect)
    if method == "certified":
        log_mean_exp, cubic, certified = _shortest_series(rows, neurons, layer.unembedding, c, e, tolerance)
        # A neuron at its reference value has an effect of exactly 0, because its series is certified with error 0.
        wanted = ~certified
    else:
        log_mean_exp, wanted = torch.zeros_like(c), delta != 0
        cubic = ~wanted
    for t in torch.nonzero(wanted.any(1)).flatten().tolist():
        mine = torch.nonzero(wanted[t]).flatten()
        dtype = neurons.b.dtype
        total = _exact_sums(rows.z[t], rows.p[t], neurons.b, mine, c[t, mine].to(dtype), e[t, mine].to(dtype))
        log_mean_exp[t, mine] = torch.log1p(total)
    z_target = rows.z.gather(1, target[:, None]).double()
    b_target = (layer.unembedding[target] @ neurons.gained.T).double()
    delta_loss = log_mean_exp - (c * z_target + e * b_target)
    n_exact, n_cubic = int(wanted.sum()), int(cubic.sum())
    return delta_loss, PairCounts(n_exact, n_cubic, wanted.numel() - n_exact - n_cubic)


def delta_loss_tiles(
    layer: LastLayer,
    residual: torch.Tensor,
    activation: torch.Tensor,
    reference: torch.Tensor,
    target: torch.Tensor,
    method: Method = "certified",
    effect: Effect = "total",
    tolerance: float = 1e-5,
    memory_bytes: int = 2 * 1024**3,
) -> Iterator[DeltaLoss]:
    """Effect of ablating each neuron at each row, tile by tile.

    Args:
        layer: the model's last layer. Vocabulary-sized arithmetic uses its dtype.
        residual: (T, d) input of the final norm.
        activation: (T, N) neurons' activations.
        reference: (N,) or (T, N) values that replace the activations.
        target: (T,) integer ids of the next tokens.
        method: ``exact`` sums over the vocabulary for every pair, ``certified`` only if the series' error bound is
            above ``tolerance``.
        effect: ``total`` recomputes the final norm, ``direct`` keeps its scale fixed.
        tolerance: largest certified error of a pair, nats.
        memory_bytes: largest total size of the arrays made here. The layer, residuals and activations are not counted.

    Yields:
        Tiles that together cover all pairs, with neurons in the outer loop.

    Raises:
        CheckpointError: the closed form does not hold for this layer.
    """
    if layer.no_closed_form is not None:
        raise CheckpointError(
            f"closed form: {layer.no_closed_form}; use the re-run from the final norm (influence.final_norm)"
        )
    n_rows, n_neurons = activation.shape
    layer = layer.with_centred_unembedding()
    n_threads = threads_for(activation.device)
    neurons_per_tile, rows_per_tile = _tile_shape(layer, n_rows, n_neurons, n_threads, memory_bytes)
    with side_by_side(n_threads) as in_order:
        for mine in tiles_of(n_neurons, neurons_per_tile):
            neurons = _prepare_neurons(layer, mine, in_order, n_threads)

            def of_rows(here: slice, mine: slice = mine, neurons: _Neurons = neurons) -> DeltaLoss:
                held = reference[mine] if reference.ndim == 1 else reference[here, mine]
                delta = held.double() - activation[here, mine].double()
                rows = _prepare_rows(layer, residual[here])
                return DeltaLoss(
                    here, mine, *_tile(layer, rows, neurons, delta, target[here], method, effect, tolerance)
                )

            yield from in_order(of_rows, tiles_of(n_rows, rows_per_tile))


def _tile_shape(layer: LastLayer, n_rows: int, n_neurons: int, n_threads: int, memory_bytes: int) -> tuple[int, int]:
    """Neurons and rows per tile, so that one tile of rows per thread stays within the budget.

    A row has two arrays over the vocabulary (z and p) and ten over a slice of it. A neuron has one over the vocabulary
    (``B``), and four over a slice per thread. A pair has some thirty doubles. The centred unembedding is subtracted
    from the budget first. Of the remainder, rows get a quarter.
    """
    entries, kind, size = layer.unembedding.shape[0], _kind(layer.unembedding), layer.unembedding.element_size()
    in_slice = min(entries, ENTRIES_PER_SLICE[kind])
    memory_bytes -= size * layer.unembedding.numel()
    at_once = max(1, memory_bytes // 4 // (size * (2 * entries + 10 * in_slice)))
    rows = max(1, min(-(-n_rows // n_threads), ROWS_PER_TILE[kind], at_once // n_threads))
    neuron_bytes = size * (entries + 4 * n_threads * in_slice) + 30 * 8 * n_threads * rows
    neurons = min(n_neurons, max(1, int(memory_bytes * 3 / 4) // neuron_bytes))
    return neurons, rows


def delta_loss_matrix(
    layer: LastLayer,
    residual: torch.Tensor,
    activation: torch.Tensor,
    reference: torch.Tensor,
    target: torch.Tensor,
    **options: Any,
) -> tuple[torch.Tensor, PairCounts]:
    """All effects at once, float64 (T, N) nats, and how they were computed. Options as in :func:`delta_loss_tiles`."""
    effects = torch.empty(activation.shape, dtype=torch.float64, device=activation.device)
    pairs = PairCounts()
    for tile in delta_loss_tiles(layer, residual, activation, reference, target, **options):
        effects[tile.rows, tile.neurons] = tile.values
        pairs = pairs + tile.pairs
    return effects, pairs
