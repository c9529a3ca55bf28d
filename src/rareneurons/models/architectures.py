"""Where each supported architecture keeps what the measures need: one small adapter an architecture.

A new architecture is one subclass of :class:`Architecture` and one entry in ``ARCHITECTURES``. It must say where
the transformer blocks, the final norm and the unembedding live, and, within a block, the MLP's output projection,
its input matrices, and the attention's output projection.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from rareneurons.errors import CheckpointError


@dataclass(frozen=True)
class FinalNorm:
    """The norm before the unembedding, ``y = (x - mean) / scale * gain + bias`` or the same without the mean.

    ``kind`` is ``layer_norm`` (``scale^2 = var(x) + epsilon``) or ``rms_norm`` (``scale^2 = mean(x^2) + epsilon``).
    ``gain`` and ``bias`` have shape (d,); an RMSNorm's bias is zero.
    """

    kind: Literal["layer_norm", "rms_norm"]
    gain: torch.Tensor
    bias: torch.Tensor
    epsilon: float


def projection_rows(module: nn.Module) -> torch.Tensor:
    """Weight of a linear layer as (inputs, outputs), whatever the module's own layout."""
    weight = module.weight
    assert isinstance(weight, torch.Tensor)
    return weight if isinstance(module, Conv1D) else weight.T


class Architecture(ABC):
    """Access to the parts of a causal language model by role."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model

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
        """Input weights of the layer's neurons by name, each (N, d): one row a neuron."""

    @abstractmethod
    def attention_output(self, layer: int) -> nn.Module:
        """Output projection of the layer's attention; its input is the heads' outputs side by side."""

    @property
    def parallel_blocks(self) -> bool:
        """Whether attention and MLP of a block read the same residual, so heads cannot reach that MLP."""
        return False

    @property
    def n_layers(self) -> int:
        """Number of transformer blocks."""
        return len(self.blocks)

    @property
    def n_heads(self) -> int:
        """Attention (query) heads a layer."""
        return int(self.model.config.num_attention_heads)  # type: ignore[union-attr, arg-type]

    def mlp_output_weight(self, layer: int) -> torch.Tensor:
        """Output weights of the layer's neurons, (N, d): one row a neuron."""
        return projection_rows(self.mlp_output(layer))

    def last_mlp_weights(self) -> dict[str, np.ndarray]:
        """Weights of the last MLP's neurons by matrix (``w_out``, ``w_in``, ...), each float64 (N, d)."""
        layer = self.n_layers - 1
        tensors = {"w_out": self.mlp_output_weight(layer)} | self.mlp_inputs(layer)
        return {name: weight.double().cpu().numpy() for name, weight in tensors.items()}

    def weight_matrices(self) -> dict[str, np.ndarray]:
        """Every weight matrix of the model by parameter name, float32; tied matrices once."""
        return {
            name: weight.float().cpu().numpy() for name, weight in self.model.named_parameters() if weight.ndim == 2
        }

    @property
    def unembedding(self) -> torch.Tensor:
        """Unembedding matrix, (V, d)."""
        return self.unembedding_module.weight

    @property
    def unembedding_bias(self) -> torch.Tensor | None:
        """Bias of the unembedding, (V,), where it has one."""
        return self.unembedding_module.bias

    @property
    def final_norm(self) -> FinalNorm:
        """Gain, bias and epsilon of the final norm."""
        module = self.final_norm_module
        gain = module.weight
        assert isinstance(gain, torch.Tensor)
        if isinstance(module, nn.LayerNorm):
            bias = module.bias if module.bias is not None else torch.zeros_like(gain)
            return FinalNorm("layer_norm", gain, bias, module.eps)
        return FinalNorm("rms_norm", gain, torch.zeros_like(gain), float(module.variance_epsilon))  # type: ignore[arg-type]


class GPTNeoX(Architecture):
    """Pythia and its kin: LayerNorm, attention and MLP in parallel, untied unembedding."""

    @property
    def base(self) -> nn.Module:
        return self.model.gpt_neox  # type: ignore[return-value]

    @property
    def blocks(self) -> nn.ModuleList:
        return self.model.gpt_neox.layers  # type: ignore[union-attr, return-value]

    @property
    def final_norm_module(self) -> nn.Module:
        return self.model.gpt_neox.final_layer_norm  # type: ignore[union-attr, return-value]

    @property
    def unembedding_module(self) -> nn.Linear:
        return self.model.get_output_embeddings()  # type: ignore[operator]

    @property
    def parallel_blocks(self) -> bool:
        return bool(self.model.config.use_parallel_residual)  # type: ignore[union-attr]

    def mlp_output(self, layer: int) -> nn.Module:
        return self.blocks[layer].mlp.dense_4h_to_h  # type: ignore[union-attr, return-value]

    def mlp_inputs(self, layer: int) -> dict[str, torch.Tensor]:
        return {"w_in": self.blocks[layer].mlp.dense_h_to_4h.weight}  # type: ignore[union-attr, dict-item]

    def attention_output(self, layer: int) -> nn.Module:
        return self.blocks[layer].attention.dense  # type: ignore[union-attr, return-value]


class GPT2(Architecture):
    """GPT-2 of any size: LayerNorm, attention before MLP, tied unembedding."""

    @property
    def base(self) -> nn.Module:
        return self.model.transformer  # type: ignore[return-value]

    @property
    def blocks(self) -> nn.ModuleList:
        return self.model.transformer.h  # type: ignore[union-attr, return-value]

    @property
    def final_norm_module(self) -> nn.Module:
        return self.model.transformer.ln_f  # type: ignore[union-attr, return-value]

    @property
    def unembedding_module(self) -> nn.Linear:
        return self.model.lm_head  # type: ignore[return-value]

    def mlp_output(self, layer: int) -> nn.Module:
        return self.blocks[layer].mlp.c_proj  # type: ignore[union-attr, return-value]

    def mlp_inputs(self, layer: int) -> dict[str, torch.Tensor]:
        return {"w_in": projection_rows(self.blocks[layer].mlp.c_fc).T}  # type: ignore[union-attr, arg-type]

    def attention_output(self, layer: int) -> nn.Module:
        return self.blocks[layer].attn.c_proj  # type: ignore[union-attr, return-value]


class Llama(Architecture):
    """Llama, Mistral, Qwen2 and Qwen3: RMSNorm, gated MLP, attention before MLP, grouped-query attention."""

    @property
    def base(self) -> nn.Module:
        return self.model.model  # type: ignore[return-value]

    @property
    def blocks(self) -> nn.ModuleList:
        return self.model.model.layers  # type: ignore[union-attr, return-value]

    @property
    def final_norm_module(self) -> nn.Module:
        return self.model.model.norm  # type: ignore[union-attr, return-value]

    @property
    def unembedding_module(self) -> nn.Linear:
        return self.model.lm_head  # type: ignore[return-value]

    def mlp_output(self, layer: int) -> nn.Module:
        return self.blocks[layer].mlp.down_proj  # type: ignore[union-attr, return-value]

    def mlp_inputs(self, layer: int) -> dict[str, torch.Tensor]:
        mlp = self.blocks[layer].mlp
        return {"w_gate": mlp.gate_proj.weight, "w_up": mlp.up_proj.weight}  # type: ignore[union-attr, dict-item]

    def attention_output(self, layer: int) -> nn.Module:
        return self.blocks[layer].self_attn.o_proj  # type: ignore[union-attr, return-value]


ARCHITECTURES: dict[str, type[Architecture]] = {
    "gpt_neox": GPTNeoX,
    "gpt2": GPT2,
    "llama": Llama,
    "mistral": Llama,
    "qwen2": Llama,
    "qwen3": Llama,
}


def architecture_of(model: nn.Module) -> Architecture:
    """Adapter for a transformers causal language model.

    Raises:
        CheckpointError: no adapter knows the model's ``model_type``.
    """
    model_type = model.config.model_type  # type: ignore[union-attr]
    if model_type not in ARCHITECTURES:
        raise CheckpointError(
            f"model_type: found {model_type!r}, which no adapter knows; known are {', '.join(sorted(ARCHITECTURES))}. "
            "An adapter (rareneurons.models.architectures) must say where the blocks, the final norm, the unembedding, "
            "the MLP's input and output projections and the attention's output projection live."
        )
    return ARCHITECTURES[model_type](model)  # type: ignore[index]
