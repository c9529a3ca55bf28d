"""Where each supported architecture keeps what the measures need: one small adapter per architecture.

A new architecture is one subclass of :class:`Architecture` and one entry in ``ARCHITECTURES``. It must say where
the transformer blocks, the final norm and the unembedding live, and, within a block, the MLP's output projection,
its input matrices, the attention and its output projection; and, where there is one, the norm between an MLP and the
residual stream, and the bound of soft-capped logits.
"""

from torch import nn
from transformers import PreTrainedConfig

from rareneurons.errors import CheckpointError
from rareneurons.models.architectures.base import Architecture, projection_rows
from rareneurons.models.architectures.families import GPT2, Gemma, Gemma2, GPTNeoX, Llama, Olmo, Olmo2, Phi, Phi3
from rareneurons.models.architectures.mixtures import Mixture

__all__ = [
    "ARCHITECTURES",
    "Architecture",
    "adapter_of",
    "architecture_of",
    "projection_rows",
    "refuse_unsupported",
]

ARCHITECTURES: dict[str, type[Architecture]] = {
    "gpt_neox": GPTNeoX,
    "gpt2": GPT2,
    "llama": Llama,
    "mistral": Llama,
    "qwen2": Llama,
    "qwen3": Llama,
    "olmo": Olmo,
    "phi": Phi,
    "phi3": Phi3,
    "gemma": Gemma,
    "olmo2": Olmo2,
    "olmo3": Olmo2,
    "gemma2": Gemma2,
    "gemma3_text": Gemma2,
    "olmoe": Mixture,
    "mixtral": Mixture,
    "qwen2_moe": Mixture,
    "qwen3_moe": Mixture,
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
            "lies between an MLP and the residual stream, and whether logits are soft-capped."
        )
    return ARCHITECTURES[model_type]


def refuse_unsupported(config: PreTrainedConfig) -> None:
    """Raise unless an adapter describes all of a configuration; the weights need not be read for that.

    Raises:
        CheckpointError: no adapter knows the ``model_type``, or its adapter does not describe this variant.
    """
    reason = adapter_of(config.model_type).unsupported(config)
    if reason is not None:
        raise CheckpointError(f"model_type {config.model_type!r}, {reason}")


def architecture_of(model: nn.Module) -> Architecture:
    """Adapter for a transformers causal language model.

    A mixture of experts is replaced within the model by a module that computes the same.

    Raises:
        CheckpointError: no adapter knows the model's ``model_type``, or its adapter does not describe this variant.
    """
    refuse_unsupported(model.config)  # type: ignore[arg-type]
    return adapter_of(model.config.model_type)(model)  # type: ignore[union-attr, arg-type]
