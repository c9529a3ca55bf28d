"""Adapters of dense models, one class a family."""

import torch
from torch import nn

from rareneurons.models.architectures.base import Architecture, projection_rows
from rareneurons.models.last_layer import Norm


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


class Phi(Llama):
    """Phi 1 to 2: LayerNorm, attention and MLP in parallel on one norm, biases, that of the unembedding among them."""

    @property
    def final_norm_module(self) -> nn.Module:
        return self.model.model.final_layernorm  # type: ignore[union-attr, return-value]

    @property
    def parallel_blocks(self) -> bool:
        return True

    def mlp_output(self, layer: int) -> nn.Module:
        return self.blocks[layer].mlp.fc2  # type: ignore[union-attr, return-value]

    def mlp_inputs(self, layer: int) -> dict[str, torch.Tensor]:
        return {"w_in": self.blocks[layer].mlp.fc1.weight}  # type: ignore[union-attr, dict-item]

    def attention_output(self, layer: int) -> nn.Module:
        return self.blocks[layer].self_attn.dense  # type: ignore[union-attr, return-value]


class Phi3(Llama):
    """Phi 3 and 4: as Llama, with the two input matrices of the MLP in one."""

    def mlp_inputs(self, layer: int) -> dict[str, torch.Tensor]:
        gate, up = self.blocks[layer].mlp.gate_up_proj.weight.chunk(2)  # type: ignore[union-attr, operator]
        return {"w_gate": gate, "w_up": up}


class Olmo(Llama):
    """OLMo 1: as Llama, with a LayerNorm that has neither gain nor bias."""

    def norm_of(self, module: nn.Module) -> Norm:
        gain = torch.ones_like(self.unembedding[0])
        return Norm("layer_norm", gain, torch.zeros_like(gain), 1e-5)  # the epsilon stands in transformers' forward


class Olmo2(Llama):
    """OLMo 2 and 3: the outputs of attention and MLP pass through an RMSNorm before they join the residual."""

    def mlp_output_norm(self, layer: int) -> nn.Module | None:
        return self.blocks[layer].post_feedforward_layernorm  # type: ignore[return-value]


class Gemma(Llama):
    """Gemma 1: as Llama, gains of the RMSNorms stored less one, tied unembedding."""

    def norm_of(self, module: nn.Module) -> Norm:
        gain = 1 + module.weight  # type: ignore[operator]
        return Norm("rms_norm", gain, torch.zeros_like(gain), float(module.eps))  # type: ignore[arg-type]


class Gemma2(Gemma):
    """Gemma 2 and the text of Gemma 3: norms before and after attention and MLP, and capped logits where it says so."""

    def mlp_output_norm(self, layer: int) -> nn.Module | None:
        return self.blocks[layer].post_feedforward_layernorm  # type: ignore[return-value]

    @property
    def logit_cap(self) -> float | None:
        cap = self.model.config.final_logit_softcapping  # type: ignore[union-attr]
        return None if cap is None else float(cap)  # type: ignore[arg-type]
