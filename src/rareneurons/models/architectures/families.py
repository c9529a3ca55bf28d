"""Adapters of dense models, one class per family."""

from typing import Any

import torch
from torch import nn

from rareneurons.models.architectures.base import Architecture, projection_rows
from rareneurons.models.last_layer import Norm


class GPTNeoX(Architecture):
    """Pythia and its kin: LayerNorm, attention and MLP in parallel, untied unembedding."""

    @property
    def base(self) -> nn.Module:
        return self.model.gpt_neox

    @property
    def blocks(self) -> nn.ModuleList:
        return self.model.gpt_neox.layers

    @property
    def final_norm_module(self) -> nn.Module:
        return self.model.gpt_neox.final_layer_norm

    @property
    def unembedding_module(self) -> nn.Linear:
        return self.model.get_output_embeddings()

    @property
    def parallel_blocks(self) -> bool:
        return bool(self.model.config.use_parallel_residual)

    def mlp_output(self, layer: int) -> nn.Module:
        return self.block(layer).mlp.dense_4h_to_h

    def mlp_inputs(self, layer: int) -> dict[str, torch.Tensor]:
        return {"w_in": self.block(layer).mlp.dense_h_to_4h.weight}

    def attention(self, layer: int) -> nn.Module:
        return self.block(layer).attention

    def attention_output(self, layer: int) -> nn.Module:
        return self.block(layer).attention.dense


class GPT2(Architecture):
    """GPT-2 of any size: LayerNorm, attention before MLP, tied unembedding."""

    @property
    def base(self) -> nn.Module:
        return self.model.transformer

    @property
    def blocks(self) -> nn.ModuleList:
        return self.model.transformer.h

    @property
    def final_norm_module(self) -> nn.Module:
        return self.model.transformer.ln_f

    @property
    def unembedding_module(self) -> nn.Linear:
        return self.model.lm_head

    def embeddings_for(self, residual: torch.Tensor) -> torch.Tensor:
        positions = torch.arange(residual.shape[1], device=residual.device)
        return residual - self.model.transformer.wpe(positions)

    def mlp_output(self, layer: int) -> nn.Module:
        return self.block(layer).mlp.c_proj

    def mlp_inputs(self, layer: int) -> dict[str, torch.Tensor]:
        return {"w_in": projection_rows(self.block(layer).mlp.c_fc).T}

    def attention(self, layer: int) -> nn.Module:
        return self.block(layer).attn

    def attention_output(self, layer: int) -> nn.Module:
        return self.block(layer).attn.c_proj


class Llama(Architecture):
    """Llama, Mistral, Qwen2 and Qwen3: RMSNorm, gated MLP, attention before MLP, grouped-query attention."""

    @property
    def base(self) -> nn.Module:
        return self.model.model

    @property
    def blocks(self) -> nn.ModuleList:
        return self.model.model.layers

    @property
    def final_norm_module(self) -> nn.Module:
        return self.model.model.norm

    @property
    def unembedding_module(self) -> nn.Linear:
        return self.model.lm_head

    def mlp_output(self, layer: int) -> nn.Module:
        return self.block(layer).mlp.down_proj

    def mlp_inputs(self, layer: int) -> dict[str, torch.Tensor]:
        mlp = self.block(layer).mlp
        return {"w_gate": mlp.gate_proj.weight, "w_up": mlp.up_proj.weight}

    def attention(self, layer: int) -> nn.Module:
        return self.block(layer).self_attn

    def attention_output(self, layer: int) -> nn.Module:
        return self.block(layer).self_attn.o_proj


class Phi(Llama):
    """Phi 1 to 2: LayerNorm, attention and MLP in parallel on one norm, biases, that of the unembedding among them."""

    @property
    def final_norm_module(self) -> nn.Module:
        return self.model.model.final_layernorm

    @property
    def parallel_blocks(self) -> bool:
        return True

    def mlp_output(self, layer: int) -> nn.Module:
        return self.block(layer).mlp.fc2

    def mlp_inputs(self, layer: int) -> dict[str, torch.Tensor]:
        return {"w_in": self.block(layer).mlp.fc1.weight}

    def attention_output(self, layer: int) -> nn.Module:
        return self.block(layer).self_attn.dense


class Phi3(Llama):
    """Phi 3 and 4: as Llama, with the two input matrices of the MLP in one."""

    def mlp_inputs(self, layer: int) -> dict[str, torch.Tensor]:
        gate, up = self.block(layer).mlp.gate_up_proj.weight.chunk(2)
        return {"w_gate": gate, "w_up": up}


class Olmo(Llama):
    """OLMo 1: as Llama, with a LayerNorm that has neither gain nor bias."""

    def norm_of(self, module: Any) -> Norm:
        gain = torch.ones_like(self.unembedding[0])
        return Norm("layer_norm", gain, torch.zeros_like(gain), 1e-5)  # the epsilon of transformers' forward


class Olmo2(Llama):
    """OLMo 2 and 3: the outputs of attention and MLP pass through an RMSNorm before they join the residual."""

    def mlp_output_norm(self, layer: int) -> nn.Module | None:
        return self.block(layer).post_feedforward_layernorm


class Gemma(Llama):
    """Gemma 1: as Llama, gains of the RMSNorms stored less one, tied unembedding."""

    def norm_of(self, module: Any) -> Norm:
        gain = 1 + module.weight
        return Norm("rms_norm", gain, torch.zeros_like(gain), float(module.eps))


class Gemma2(Gemma):
    """Gemma 2 and the text of Gemma 3: norms before and after attention and MLP, and capped logits where it says so."""

    def mlp_output_norm(self, layer: int) -> nn.Module | None:
        return self.block(layer).post_feedforward_layernorm

    @property
    def logit_cap(self) -> float | None:
        cap = self.model.config.final_logit_softcapping
        return None if cap is None else float(cap)
