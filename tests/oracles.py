"""Slow, obvious twins of the fast paths."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import torch

from rareneurons.models.architectures import Architecture
from rareneurons.tokens import Blocks
from rareneurons.trace import Recorder


@torch.inference_mode()
def losses(
    architecture: Architecture,
    blocks: Blocks,
    rows: pd.DataFrame,
    before_block: Callable[[pd.DataFrame], None] = lambda mine: None,
) -> np.ndarray:
    """Loss of each row's target by a plain run of the whole model, block by block, float64 (T,)."""
    found = np.empty(len(rows))
    for block, mine in rows.groupby("block"):
        before_block(mine)
        real = int(blocks.length[block])
        tokens = torch.from_numpy(blocks.tokens[block, :real].astype(np.int64))[None]
        log_p = torch.log_softmax(architecture.model(input_ids=tokens, use_cache=False).logits[0].double(), -1)
        found[mine.index] = -log_p[mine["position"].to_numpy(), mine["target"].to_numpy()].numpy()
    return found


@torch.inference_mode()
def hooked_delta_loss(
    architecture: Architecture,
    blocks: Blocks,
    rows: pd.DataFrame,
    neuron: int,
    value: float | np.ndarray,
    layer: int | None = None,
) -> np.ndarray:
    """Change of each row's loss when a hook holds one neuron at a value, float64 (T,).

    A number is held at every position; an array (T,) puts each row's value at that row's position. Without ``layer``
    the neuron is the last MLP's.
    """
    current = {}

    def hold(_module, inputs):
        held = inputs[0].clone()
        if isinstance(value, np.ndarray):
            mine = current["rows"]
            held[0, mine["position"].to_numpy(), neuron] = torch.from_numpy(value[mine.index]).to(held)
        else:
            held[..., neuron] = value
        return (held,)

    before = losses(architecture, blocks, rows)
    layer = architecture.n_layers - 1 if layer is None else layer
    handle = architecture.mlp_output(layer).register_forward_pre_hook(hold)
    try:
        return losses(architecture, blocks, rows, lambda mine: current.update(rows=mine)) - before
    finally:
        handle.remove()


def float64_trace(architecture: Architecture, blocks: Blocks, rows: pd.DataFrame) -> tuple[torch.Tensor, torch.Tensor]:
    """Activation (T, N) and residual (T, d) in float64, which the stored trace rounds to float32."""
    modules = {"a": architecture.mlp_output(architecture.n_layers - 1), "x": architecture.final_norm_module}
    with torch.inference_mode(), Recorder(modules) as recorder:
        architecture.base(input_ids=torch.from_numpy(blocks.tokens.astype(np.int64)), use_cache=False)
    at = rows["block"].to_numpy(), rows["position"].to_numpy()
    return recorder.inputs["a"][at].clone(), recorder.inputs["x"][at].clone()


@torch.inference_mode()
def hooked_predictions(
    architecture: Architecture, blocks: Blocks, rows: pd.DataFrame, neurons: np.ndarray, value: np.ndarray
) -> torch.Tensor:
    """Log probabilities (T, V) of each row when a hook holds neurons (n,) of the last MLP, float64.

    ``value`` (n,) is held at every position; (T, n) puts each row's values at that row's position.
    """
    found = torch.empty(len(rows), len(architecture.unembedding), dtype=torch.float64)
    for block, mine in rows.groupby("block"):

        def hold(_module, inputs, mine=mine):
            held = inputs[0].clone()
            if value.ndim == 1:
                held[..., neurons] = torch.from_numpy(value).to(held)
            else:
                at = torch.from_numpy(mine["position"].to_numpy())
                held[0, at[:, None], neurons] = torch.from_numpy(value[mine.index]).to(held)
            return (held,)

        handle = architecture.mlp_output(architecture.n_layers - 1).register_forward_pre_hook(hold)
        try:
            tokens = torch.from_numpy(blocks.tokens[block, : int(blocks.length[block])].astype(np.int64))[None]
            logits = architecture.model(input_ids=tokens, use_cache=False).logits[0].double()
        finally:
            handle.remove()
        found[mine.index] = torch.log_softmax(logits, -1)[mine["position"].to_numpy()]
    return found
