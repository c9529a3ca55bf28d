"""One forward pass over the evaluation blocks, which keeps the activations and residuals at the selected rows."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import nn

from rareneurons.batches import Batch, batches_of_rows
from rareneurons.errors import LEAVE_OUT, CheckpointError
from rareneurons.model_folders.config_file import refuse_longer_rows
from rareneurons.models.architectures import Architecture
from rareneurons.rows import evaluated_rows
from rareneurons.tokens import Blocks


@dataclass(frozen=True)
class Trace:
    """Activations and residuals of one checkpoint at the selected rows.

    ``activation`` (T, N) float32: neurons of the last MLP, at the input of its output projection. ``residual`` (T, d)
    float32: input of the final norm. ``mean_activation`` (N,) float64: mean over all evaluated positions, whether
    selected or not; it is the reference value of mean ablation. ``layer`` (1,) int64: index of the layer.
    """

    activation: np.ndarray
    residual: np.ndarray
    mean_activation: np.ndarray
    layer: np.ndarray


class Recorder:
    """Context manager that keeps the inputs of chosen modules during a forward pass."""

    def __init__(self, modules: dict[str, nn.Module]) -> None:
        self.inputs: dict[str, torch.Tensor] = {}
        self._modules = modules
        self._handles: list[torch.utils.hooks.RemovableHandle] = []

    def __enter__(self) -> "Recorder":
        """Install the hooks."""
        for name, module in self._modules.items():
            self._handles.append(module.register_forward_pre_hook(self._keep(name)))
        return self

    def __exit__(self, *_: object) -> None:
        """Remove the hooks."""
        for handle in self._handles:
            handle.remove()

    def _keep(self, name: str) -> Callable[[nn.Module, tuple], None]:
        def hook(_module: nn.Module, inputs: tuple) -> None:
            self.inputs[name] = inputs[0]

        return hook


@torch.inference_mode()
def trace_rows(
    architecture: Architecture,
    blocks: Blocks,
    rows: pd.DataFrame,
    batch_size: int,
    progress: Callable[[Iterable[Batch]], Iterable[Batch]] = iter,
) -> Trace:
    """Run the model over every block that holds a selected row.

    Args:
        architecture: an open checkpoint. The forward pass uses its dtype and device.
        blocks: evaluation blocks.
        rows: selected rows, in block and position order (columns ``block``, ``position``).
        batch_size: blocks per forward pass.
        progress: wraps the loop over batches.

    Returns:
        The trace, one entry per row in the order of ``rows``.

    Raises:
        CheckpointError: an activation or residual is NaN or infinite, or a token or position has no embedding.
    """
    refuse_other_vocabulary(architecture, blocks)
    refuse_longer_blocks(architecture, blocks)
    last = architecture.n_layers - 1
    device = architecture.device
    evaluated = evaluated_rows(blocks, rows)
    row_at = evaluated["row"].to_numpy()
    n_neurons, width = architecture.mlp_output_weight(last).shape
    activations = np.full((len(rows), n_neurons), np.nan, dtype=np.float32)
    residuals = np.full((len(rows), width), np.nan, dtype=np.float32)
    total = np.zeros(n_neurons)
    modules = {"activation": architecture.mlp_output(last), "residual": architecture.final_norm_module}
    for batch in progress(batches_of_rows(blocks, evaluated, batch_size, device)):
        with Recorder(modules) as recorder:
            architecture.base(input_ids=batch.tokens, use_cache=False)
        activation, residual = (recorder.inputs[name][batch.at].float().cpu().numpy() for name in modules)
        mine = row_at[batch.rows]
        activations[mine[mine >= 0]], residuals[mine[mine >= 0]] = activation[mine >= 0], residual[mine >= 0]
        total += activation.sum(0, dtype=np.float64)
    trace = Trace(activations, residuals, total / len(evaluated), np.asarray([last]))
    refuse_non_finite_trace(trace)
    return trace


@torch.inference_mode()
def mean_activations(
    architecture: Architecture,
    blocks: Blocks,
    rows: pd.DataFrame,
    layers: Sequence[int],
    batch_size: int,
    progress: Callable[[Iterable[Batch]], Iterable[Batch]] = iter,
) -> dict[int, np.ndarray]:
    """Mean activation of every MLP neuron of some layers over all evaluated positions of the blocks that hold a row.

    Args:
        architecture: an open checkpoint.
        blocks: evaluation blocks.
        rows: rows (column ``block``).
        layers: indices of the layers.
        batch_size: blocks per forward pass.
        progress: wraps the loop over batches.

    Returns:
        Layer -> (N,) float64: the reference values of mean ablation, which :class:`Trace` has for the last layer.

    Raises:
        CheckpointError: a block is longer than the model's context.
    """
    refuse_longer_blocks(architecture, blocks)
    device = architecture.device
    evaluated = evaluated_rows(blocks, rows)
    modules = {str(layer): architecture.mlp_output(layer) for layer in layers}
    totals = {layer: np.zeros(len(architecture.mlp_output_weight(layer))) for layer in layers}
    for batch in progress(batches_of_rows(blocks, evaluated, batch_size, device)):
        with Recorder(modules) as recorder:
            architecture.base(input_ids=batch.tokens, use_cache=False)
        for layer, total in totals.items():
            total += recorder.inputs[str(layer)][batch.at].double().sum(0).cpu().numpy()
    return {layer: total / len(evaluated) for layer, total in totals.items()}


def refuse_other_vocabulary(architecture: Architecture, blocks: Blocks) -> None:
    """Raise unless the model's vocabulary contains every token. Additional rows of its unembedding are allowed.

    Raises:
        CheckpointError: the model's vocabulary ends before the largest token.
    """
    n_entries, largest = len(architecture.unembedding), int(blocks.tokens.max())
    if largest >= n_entries:
        raise CheckpointError(
            f"trace: token {largest} occurs in the evaluation documents, but the model's vocabulary ends at "
            f"{n_entries - 1}; expected a model trained with this tokenizer. Name the model's own under `tokenizer`"
        )


def refuse_longer_blocks(architecture: Architecture, blocks: Blocks) -> None:
    """Raise unless the model has, or was trained for, a position for every token of the longest block.

    Raises:
        CheckpointError: names ``rows.block_length`` and the model's limit.
    """
    config = architecture.model.config.to_dict()
    refuse_longer_rows(config, int(blocks.length.max()), "the model")


def refuse_non_finite_trace(trace: Trace) -> None:
    """Raise unless all activations and residuals are finite.

    Raises:
        CheckpointError: the message names the array, the number of rows, and the first of them.
    """
    for name in ("activation", "residual"):
        bad_rows = ~np.isfinite(getattr(trace, name)).all(axis=1)
        if bad_rows.any():
            raise CheckpointError(
                f"trace: {name} of the last layer is NaN or infinite at {int(bad_rows.sum())} of {len(bad_rows)} "
                f"rows, first at row {int(np.argmax(bad_rows))}; nothing was computed. {LEAVE_OUT}"
            )
