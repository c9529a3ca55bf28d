"""Where each supported architecture keeps what the measures need: one small adapter an architecture.

A new architecture is one subclass of :class:`Architecture` and one entry in ``ARCHITECTURES``. It must say where
the transformer blocks, the final norm and the unembedding live, and, within a block, the MLP's output projection,
its input matrices, the attention and its output projection; and, where there is one, the norm between an MLP and the
residual stream, and the bound of soft-capped logits.
"""

from abc import ABC, abstractmethod

import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from rareneurons.errors import CheckpointError
from rareneurons.models.last_layer import LastLayer, Norm, soft_capped


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
    def attention(self, layer: int) -> nn.Module:
        """The layer's attention; in its eager form it returns its output and its pattern (batch, heads, t, t)."""

    @abstractmethod
    def attention_output(self, layer: int) -> nn.Module:
        """Output projection of the layer's attention; its input is the (query) heads' outputs side by side."""

    def head_columns(self, layer: int, head: int) -> slice:
        """Which columns of :meth:`attention_output`'s input hold a (query) head's output."""
        width = len(projection_rows(self.attention_output(layer))) // self.n_heads
        return slice(head * width, (head + 1) * width)

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
        """All that stands between the last MLP's activations and the logits, in the model's dtype."""
        layer, norm = self.n_layers - 1, self.norm_of(self.final_norm_module)
        logit_bias = self.unembedding @ norm.bias
        if self.unembedding_bias is not None:
            logit_bias = logit_bias + self.unembedding_bias
        output_weight = self.mlp_output_weight(layer).contiguous()
        after_mlp = self.mlp_output_norm(layer)
        mlp_norm = None if after_mlp is None else self.norm_of(after_mlp)
        inputs = self.mlp_inputs(layer)
        return LastLayer(output_weight, self.unembedding, logit_bias, norm, inputs, mlp_norm, self.logit_cap)

    def norm_of(self, module: nn.Module) -> Norm:
        """Kind, gain, bias and epsilon of one of the model's norms."""
        gain = module.weight
        assert isinstance(gain, torch.Tensor)
        if isinstance(module, nn.LayerNorm):
            bias = module.bias if module.bias is not None else torch.zeros_like(gain)
            return Norm("layer_norm", gain, bias, module.eps)
        return Norm("rms_norm", gain, torch.zeros_like(gain), float(module.variance_epsilon))  # type: ignore[arg-type]


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

    def attention(self, layer: int) -> nn.Module:
        return self.blocks[layer].attention  # type: ignore[return-value]

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

    def embeddings_for(self, residual: torch.Tensor) -> torch.Tensor:
        positions = torch.arange(residual.shape[1], device=residual.device)
        return residual - self.model.transformer.wpe(positions)  # type: ignore[union-attr, operator]

    def mlp_output(self, layer: int) -> nn.Module:
        return self.blocks[layer].mlp.c_proj  # type: ignore[union-attr, return-value]

    def mlp_inputs(self, layer: int) -> dict[str, torch.Tensor]:
        return {"w_in": projection_rows(self.blocks[layer].mlp.c_fc).T}  # type: ignore[union-attr, arg-type]

    def attention(self, layer: int) -> nn.Module:
        return self.blocks[layer].attn  # type: ignore[return-value]

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
        return self.model.model.norm  # type: ignore[return-value]

    @property
    def unembedding_module(self) -> nn.Linear:
        return self.model.lm_head  # type: ignore[return-value]

    def mlp_output(self, layer: int) -> nn.Module:
        return self.blocks[layer].mlp.down_proj  # type: ignore[union-attr, return-value]

    def mlp_inputs(self, layer: int) -> dict[str, torch.Tensor]:
        mlp = self.blocks[layer].mlp
        return {"w_gate": mlp.gate_proj.weight, "w_up": mlp.up_proj.weight}  # type: ignore[union-attr, dict-item]

    def attention(self, layer: int) -> nn.Module:
        return self.blocks[layer].self_attn  # type: ignore[return-value]

    def attention_output(self, layer: int) -> nn.Module:
        return self.blocks[layer].self_attn.o_proj  # type: ignore[union-attr, return-value]


class Olmo2(Llama):
    """OLMo 2: the outputs of attention and MLP pass through an RMSNorm before they are added to the residual."""

    def mlp_output_norm(self, layer: int) -> nn.Module | None:
        return self.blocks[layer].post_feedforward_layernorm  # type: ignore[return-value]


class Gemma2(Olmo2):
    """Gemma 2: norms before and after attention and MLP, gains stored less one, tied unembedding, capped logits."""

    @property
    def logit_cap(self) -> float | None:
        cap = self.model.config.final_logit_softcapping  # type: ignore[union-attr]
        return None if cap is None else float(cap)  # type: ignore[arg-type]

    def norm_of(self, module: nn.Module) -> Norm:
        gain = 1 + module.weight  # type: ignore[operator]
        return Norm("rms_norm", gain, torch.zeros_like(gain), float(module.eps))  # type: ignore[arg-type]


ARCHITECTURES: dict[str, type[Architecture]] = {
    "gpt_neox": GPTNeoX,
    "gpt2": GPT2,
    "llama": Llama,
    "mistral": Llama,
    "qwen2": Llama,
    "qwen3": Llama,
    "olmo2": Olmo2,
    "gemma2": Gemma2,
}


def adapter_of(model_type: str) -> type[Architecture]:
    """Adapter for a transformers ``model_type``.

    Raises:
        CheckpointError: no adapter knows it; the message says what one must provide.
    """
    if model_type not in ARCHITECTURES:
        raise CheckpointError(
            f"model_type: found {model_type!r}, which no adapter knows; known are {', '.join(sorted(ARCHITECTURES))}. "
            "An adapter (rareneurons.models.architectures) must say where the blocks, the final norm, the unembedding, "
            "the MLP's input and output projections, the attention and its output projection live, whether a norm "
            "stands between an MLP and the residual stream, and whether logits are soft-capped."
        )
    return ARCHITECTURES[model_type]


def architecture_of(model: nn.Module) -> Architecture:
    """Adapter for a transformers causal language model.

    Raises:
        CheckpointError: no adapter knows the model's ``model_type``.
    """
    return adapter_of(model.config.model_type)(model)  # type: ignore[union-attr, arg-type]
