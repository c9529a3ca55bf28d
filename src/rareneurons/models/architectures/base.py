"""What an adapter must say about its model, and what follows from it."""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import torch
from torch import nn
from transformers import PreTrainedConfig
from transformers.pytorch_utils import Conv1D

from rareneurons.models.last_layer import LastLayer, Norm, soft_capped
from rareneurons.models.spread import is_spread, weights_at_hand


def projection_rows(module: nn.Module) -> torch.Tensor:
    """Weight of a linear layer as (inputs, outputs), whatever the module's own layout."""
    weight = module.weight
    assert isinstance(weight, torch.Tensor)
    return weight if isinstance(module, Conv1D) else weight.T


class Architecture(ABC):
    """Access to the parts of a causal language model by role."""

    def __init__(self, model: nn.Module) -> None:
        self.model: Any = model  # its parts have other names in every family, so no type describes them

    @classmethod
    def unsupported(cls, config: PreTrainedConfig) -> str | None:
        """What this configuration asks for that the adapter does not describe; None where it describes all."""
        if getattr(config, "use_bidirectional_attention", None):
            return "use_bidirectional_attention: found true; expected causal attention, which later rows rest on"
        return None

    @property
    @abstractmethod
    def blocks(self) -> nn.ModuleList:
        """The transformer blocks, first to last."""

    @property
    @abstractmethod
    def final_norm_module(self) -> nn.Module:
        """The norm between the last block and the unembedding."""

    @property
    @abstractmethod
    def unembedding_module(self) -> nn.Linear:
        """The linear map from normed residual (d) to logits (V)."""

    @property
    @abstractmethod
    def base(self) -> nn.Module:
        """The model without its unembedding; calling it runs all blocks and the final norm."""

    @abstractmethod
    def mlp_output(self, layer: int) -> nn.Module:
        """Output projection of the layer's MLP; its input is the neurons' activations (N)."""

    @abstractmethod
    def mlp_inputs(self, layer: int) -> dict[str, torch.Tensor]:
        """Input weights of the layer's neurons by name, each (N, d): one row per neuron."""

    @abstractmethod
    def attention(self, layer: int) -> nn.Module:
        """The layer's attention; in its eager form it returns its output and its pattern (batch, heads, t, t)."""

    @abstractmethod
    def attention_output(self, layer: int) -> nn.Module:
        """Output projection of the layer's attention; its input is the (query) heads' outputs side by side."""

    def block(self, layer: int) -> Any:
        """The layer's transformer block; what its parts are called depends on the family."""
        return self.blocks[layer]

    def head_columns(self, layer: int, head: int) -> slice:
        """Which columns of :meth:`attention_output`'s input hold a (query) head's output."""
        width = len(projection_rows(self.attention_output(layer))) // self.n_heads
        return slice(head * width, (head + 1) * width)

    def expert_of_neuron(self, layer: int) -> np.ndarray | None:
        """Which expert each of the layer's neurons belongs to, int64 (N,); None in models without experts."""
        return None

    def mlp_output_norm(self, layer: int) -> nn.Module | None:
        """Norm between the layer's MLP and the residual stream, where there is one; the projection then has no bias."""
        return None

    @property
    def logit_cap(self) -> float | None:
        """Bound of soft-capped logits; None where logits are linear in the final norm's output."""
        return None

    def embeddings_for(self, residual: torch.Tensor) -> torch.Tensor:
        """``inputs_embeds`` with which the base model sends ``residual`` into its first block."""
        return residual

    @property
    def parallel_blocks(self) -> bool:
        """Whether attention and MLP of a block read the same residual, so heads cannot reach that MLP."""
        return False

    @property
    def device(self) -> torch.device:
        """Where the model takes its tokens, and where indices into its states belong."""
        return torch.device("cpu") if is_spread(self.model) else self.unembedding.device

    @property
    def n_layers(self) -> int:
        """Number of transformer blocks."""
        return len(self.blocks)

    @property
    def n_heads(self) -> int:
        """Number of attention (query) heads per layer."""
        return int(self.model.config.num_attention_heads)

    def mlp_output_weight(self, layer: int) -> torch.Tensor:
        """Output weights of the layer's neurons, (N, d): one row per neuron."""
        return projection_rows(self.mlp_output(layer))

    @property
    def unembedding(self) -> torch.Tensor:
        """Unembedding matrix, (V, d)."""
        return self.unembedding_module.weight

    @property
    def unembedding_bias(self) -> torch.Tensor | None:
        """Bias of the unembedding, (V,), where it has one."""
        return self.unembedding_module.bias

    def logits(self, normed: torch.Tensor) -> torch.Tensor:
        """Logits (..., V) for outputs (..., d) of the final norm."""
        return soft_capped(self.unembedding_module(normed), self.logit_cap)

    def last_layer(self) -> LastLayer:
        """All that comes between the last MLP's activations and the logits, in the model's dtype."""
        with weights_at_hand((self.block(self.n_layers - 1), self.final_norm_module, self.unembedding_module)):
            return self._last_layer()

    def _last_layer(self) -> LastLayer:
        layer, norm = self.n_layers - 1, self.norm_of(self.final_norm_module)
        logit_bias = self.unembedding @ norm.bias
        if self.unembedding_bias is not None:
            logit_bias = logit_bias + self.unembedding_bias
        output_weight = self.mlp_output_weight(layer).contiguous()
        after_mlp = self.mlp_output_norm(layer)
        mlp_norm = None if after_mlp is None else self.norm_of(after_mlp)
        inputs, expert = self.mlp_inputs(layer), self.expert_of_neuron(layer)
        return LastLayer(output_weight, self.unembedding, logit_bias, norm, inputs, mlp_norm, self.logit_cap, expert)

    def norm_of(self, module: Any) -> Norm:
        """Kind, gain, bias and epsilon of one of the model's norms."""
        gain = module.weight
        assert isinstance(gain, torch.Tensor)
        if isinstance(module, nn.LayerNorm):
            bias = module.bias if module.bias is not None else torch.zeros_like(gain)
            return Norm("layer_norm", gain, bias, module.eps)
        return Norm("rms_norm", gain, torch.zeros_like(gain), float(module.variance_epsilon))
