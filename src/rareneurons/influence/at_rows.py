"""Effect of ablating some neurons at each of some rows: in closed form if that holds, else by the re-run."""

from dataclasses import replace

import numpy as np
import torch

from rareneurons.errors import CheckpointError
from rareneurons.influence.closed_form import delta_loss_tiles
from rareneurons.influence.final_norm import final_norm_rerun_tiles
from rareneurons.influence.tiles import tiles_of
from rareneurons.models.last_layer import LastLayer

ROWS_PER_TILE = 256  # of clean losses, each as wide as the vocabulary


@torch.inference_mode()
def effects_at_rows(
    layer: LastLayer,
    residual: np.ndarray,
    activation: np.ndarray,
    reference: np.ndarray,
    target: np.ndarray,
    neurons: np.ndarray,
    tolerance: float = 1e-5,
    memory_bytes: int = 2 * 1024**3,
) -> np.ndarray:
    """Change of loss when one neuron is ablated, at each row, float64 (T, n), nats.

    Args:
        layer: the model's last layer. The arithmetic runs on its device and in its dtype (a re-run in float64).
        residual: (T, d) input of the final norm.
        activation: (T, N) activations of all neurons of the layer.
        reference: (N,) or (T, N) values that replace the activations.
        target: (T,) ids of the next tokens.
        neurons: (n,) indices of the neurons that are ablated, each by itself.
        tolerance: largest certified error of a pair in closed form, nats.
        memory_bytes: largest total size of the arrays made here.

    Raises:
        CheckpointError: an effect is NaN or infinite.
    """
    effects = np.empty((len(activation), len(neurons)))
    if not effects.size:
        return effects
    closed = layer.no_closed_form is None
    if closed:
        activation, reference = activation[:, neurons], reference[..., neurons]
    chosen = torch.from_numpy(neurons.astype(np.int64)).to(layer.output_weight.device)
    given, before, held, following = (
        torch.from_numpy(np.ascontiguousarray(array)).to(chosen.device)
        for array in (residual, activation, reference, target.astype(np.int64))
    )
    if closed:
        part = replace(layer, output_weight=layer.output_weight[chosen])
        tiles = delta_loss_tiles(part, given, before, held, following, tolerance=tolerance, memory_bytes=memory_bytes)
    else:
        tiles = final_norm_rerun_tiles(layer, given, before, held, following, memory_bytes, chosen)
    for tile in tiles:
        effects[tile.rows, tile.neurons] = tile.values.cpu().numpy()
    if not np.isfinite(effects).all():
        bad = neurons[~np.isfinite(effects).all(0)]
        raise CheckpointError(
            f"influence: effects of {len(bad)} neurons, first of neuron {bad[0]}, are NaN or infinite; nothing was "
            "computed. Check the checkpoint's weights"
        )
    return effects


@torch.inference_mode()
def clean_losses(layer: LastLayer, residual: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Loss of each row without ablation, float64 (T,), nats.

    Args:
        layer: the model's last layer. The arithmetic runs on its device and in its dtype.
        residual: (T, d) input of the final norm.
        target: (T,) ids of the next tokens.
    """
    device, found = layer.unembedding.device, np.empty(len(residual))
    for rows in tiles_of(len(residual), ROWS_PER_TILE):
        chosen = torch.from_numpy(target[rows].astype(np.int64)).to(device)
        found[rows] = layer.losses(torch.from_numpy(residual[rows]).to(device), chosen).double().cpu().numpy()
    return found
