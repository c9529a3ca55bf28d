"""Run a model from a layer up, on a residual stream that was kept."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from rareneurons.models.architectures import Architecture


class _PassThrough(nn.Module):
    """Stands in for a block that is not run: hands its input on, and shows the block's attributes."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.__dict__["_block"] = block  # not registered: its weights are not this module's

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["_block"], name)

    def forward(self, hidden_states: torch.Tensor, *_: Any, **__: Any) -> torch.Tensor:
        """The input."""
        return hidden_states


@contextmanager
def blocks_skipped_below(architecture: Architecture, layer: int) -> Iterator[None]:
    """While active, blocks below ``layer`` hand their input on."""
    skipped = list(architecture.blocks[:layer])
    for number, block in enumerate(skipped):
        architecture.blocks[number] = _PassThrough(block)
    try:
        yield
    finally:
        for number, block in enumerate(skipped):
            architecture.blocks[number] = block


def run_from(architecture: Architecture, layer: int, residual: torch.Tensor) -> torch.Tensor:
    """Final norm's output, (batch, positions, d), when ``residual`` (same shape) enters block ``layer``.

    Blocks below do not run; attention is causal, so right padding needs no mask.
    """
    with blocks_skipped_below(architecture, layer):
        return architecture.base(inputs_embeds=architecture.embeddings_for(residual), use_cache=False).last_hidden_state


@contextmanager
def attention_given(architecture: Architecture, layer: int, heads: torch.Tensor) -> Iterator[None]:
    """While active, the layer's attention is not computed: its output projection reads ``heads`` instead.

    Hooks of the output projection run as usual. There is no attention pattern.

    Args:
        architecture: an open checkpoint.
        layer: index of the layer.
        heads: (batch, positions, width), the heads' outputs side by side.
    """
    attention, projection = architecture.attention(layer), architecture.attention_output(layer)
    attention.forward = lambda *_, **__: (projection(heads), None)
    try:
        yield
    finally:
        del attention.forward  # the class's own again
