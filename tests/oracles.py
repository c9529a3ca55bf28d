"""Slow, obvious twins of the fast paths."""

import numpy as np
import pandas as pd
import torch

from rareneurons.models.architectures import Architecture
from rareneurons.tokens import Blocks


@torch.inference_mode()
def losses(architecture: Architecture, blocks: Blocks, rows: pd.DataFrame) -> np.ndarray:
    """Loss of each row's target by a plain run of the whole model, block by block, float64 (T,)."""
    found = np.empty(len(rows))
    for block, mine in rows.groupby("block"):
        real = int(blocks.length[block])
        tokens = torch.from_numpy(blocks.tokens[block, :real].astype(np.int64))[None]
        log_p = torch.log_softmax(architecture.model(input_ids=tokens, use_cache=False).logits[0].double(), -1)
        found[mine.index] = -log_p[mine["position"].to_numpy(), mine["target"].to_numpy()].numpy()
    return found


@torch.inference_mode()
def hooked_delta_loss(
    architecture: Architecture, blocks: Blocks, rows: pd.DataFrame, neuron: int, value: float
) -> np.ndarray:
    """Change of each row's loss when a hook holds one last-MLP neuron at a value, everywhere, float64 (T,)."""

    def hold(_module, inputs):
        held = inputs[0].clone()
        held[..., neuron] = value
        return (held,)

    before = losses(architecture, blocks, rows)
    handle = architecture.mlp_output(architecture.n_layers - 1).register_forward_pre_hook(hold)
    try:
        return losses(architecture, blocks, rows) - before
    finally:
        handle.remove()
