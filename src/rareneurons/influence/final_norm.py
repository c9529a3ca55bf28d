"""Effect of ablating last-MLP neurons where it has no closed form: the model's tail run again for every pair.

Above the last MLP's neurons nothing mixes positions, and all of it fits into :class:`LastLayer`; so a (row, neuron)
pair runs from the MLP's output projection up (the norm of its output, residual stream, final norm, unembedding,
soft-capping) on the traced activations, without the model. That costs d V operations a pair, d times the closed form.

Two losses are subtracted. In float32 their rounding (1e-6 nats, whatever the effect is) would drown small effects, so
all of it runs in float64, where 1e-14 is left.
"""

from collections.abc import Iterator

import torch

from rareneurons.influence.tiles import DeltaLoss, PairCounts
from rareneurons.models.last_layer import LastLayer


def rerun_tiles(
    layer: LastLayer,
    residual: torch.Tensor,
    activation: torch.Tensor,
    reference: torch.Tensor,
    target: torch.Tensor,
    memory_bytes: int = 2 * 1024**3,
) -> Iterator[DeltaLoss]:
    """Total effect of ablating each neuron at each row, tile by tile.

    Args:
        layer: the model's last layer.
        residual: (T, d) input of the final norm.
        activation: (T, N) neurons' activations.
        reference: (N,) or (T, N) values that ablation puts in the activations' place.
        target: (T,) integer ids of the next tokens.
        memory_bytes: what the arrays made here may take together, beside the layer, the residuals and activations.

    Yields:
        Tiles that together cover all pairs, rows outermost. A neuron at its reference value has an effect of exactly 0.
    """
    layer = layer.to(str(layer.unembedding.device), torch.float64)
    n_rows, n_neurons = activation.shape
    pairs = _pairs_a_tile(layer, memory_bytes)
    neurons_a_tile = min(n_neurons, pairs)
    rows_a_tile = max(1, pairs // neurons_a_tile)
    for first_row in range(0, n_rows, rows_a_tile):
        here = slice(first_row, min(first_row + rows_a_tile, n_rows))
        output = activation[here].double() @ layer.output_weight
        stream = residual[here].double() - layer.added_to_residual(output)
        before = layer.losses(stream + layer.added_to_residual(output), target[here])
        for first_neuron in range(0, n_neurons, neurons_a_tile):
            mine = slice(first_neuron, min(first_neuron + neurons_a_tile, n_neurons))
            held = reference[mine] if reference.ndim == 1 else reference[here, mine]
            delta = held.double() - activation[here, mine].double()
            moved = layer.added_to_residual(output[:, None] + delta[..., None] * layer.output_weight[mine])
            after = layer.losses(stream[:, None] + moved, target[here, None].expand_as(delta))
            values = torch.where(delta == 0, 0, after - before[:, None])
            yield DeltaLoss(here, mine, values, PairCounts(rerun=values.numel()))


def _pairs_a_tile(layer: LastLayer, memory_bytes: int) -> int:
    """Pairs that run together: each holds four vectors over the vocabulary and six over the residual dimensions."""
    words, width = layer.unembedding.shape
    return max(1, memory_bytes // (8 * (4 * words + 6 * width)))
