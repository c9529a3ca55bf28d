"""Effect of ablating last-MLP neurons where it has no closed form: the re-run from the final norm, for every pair.

Everything after the last MLP's neurons is run again: the MLP's output projection, the norm of its output, the residual
stream, the final norm, the unembedding and the soft cap. Nothing in this part mixes positions, and :class:`LastLayer`
holds all of its weights, so the re-run uses the traced activations and not the model. It costs d V operations per (row,
neuron) pair, d times as many as the closed form.

Two losses are subtracted. In float32 their rounding error (1e-6 nats, whatever the effect) would exceed small effects.
Therefore everything is computed in float64, where the error is 1e-14.
"""

from collections.abc import Iterator

import torch

from rareneurons.influence.tiles import DeltaLoss, PairCounts
from rareneurons.models.last_layer import LastLayer


def final_norm_rerun_tiles(
    layer: LastLayer,
    residual: torch.Tensor,
    activation: torch.Tensor,
    reference: torch.Tensor,
    target: torch.Tensor,
    memory_bytes: int = 2 * 1024**3,
    neurons: torch.Tensor | None = None,
) -> Iterator[DeltaLoss]:
    """Total effect of ablating each neuron at each row, tile by tile.

    Args:
        layer: the model's last layer.
        residual: (T, d) input of the final norm.
        activation: (T, N) neurons' activations.
        reference: (N,) or (T, N) values that replace the activations.
        target: (T,) integer ids of the next tokens.
        memory_bytes: largest total size of the arrays made here. The layer, residuals and activations are not counted.
        neurons: (n,) indices of the neurons that are ablated; all N by default. A tile's ``neurons`` are places in it.

    Yields:
        Tiles that together cover all pairs, with rows in the outer loop. A neuron at its reference value has an effect
        of exactly 0.
    """
    layer = layer.to(str(layer.unembedding.device), torch.float64)
    n_rows, n_neurons = len(activation), activation.shape[1] if neurons is None else len(neurons)
    pairs = _pairs_per_tile(layer, memory_bytes)
    neurons_per_tile = min(n_neurons, pairs)
    rows_per_tile = max(1, pairs // neurons_per_tile)
    for first_row in range(0, n_rows, rows_per_tile):
        here = slice(first_row, min(first_row + rows_per_tile, n_rows))
        output = activation[here].double() @ layer.output_weight
        stream = residual[here].double() - layer.added_to_residual(output)
        before = layer.losses(stream + layer.added_to_residual(output), target[here])
        for first_neuron in range(0, n_neurons, neurons_per_tile):
            mine = slice(first_neuron, min(first_neuron + neurons_per_tile, n_neurons))
            chosen = mine if neurons is None else neurons[mine]
            held = reference[chosen] if reference.ndim == 1 else reference[here, chosen]
            delta = held.double() - activation[here, chosen].double()
            moved = layer.added_to_residual(output[:, None] + delta[..., None] * layer.output_weight[chosen])
            after = layer.losses(stream[:, None] + moved, target[here, None].expand_as(delta))
            values = torch.where(delta == 0, 0, after - before[:, None])
            yield DeltaLoss(here, mine, values, PairCounts(rerun=values.numel()))


def _pairs_per_tile(layer: LastLayer, memory_bytes: int) -> int:
    """Pairs that run together. Each takes four vectors over the vocabulary and six over the residual dimensions."""
    entries, width = layer.unembedding.shape
    return max(1, memory_bytes // (8 * (4 * entries + 6 * width)))
