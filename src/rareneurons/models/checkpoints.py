"""Open a checkpoint folder in float32 and refuse one that holds NaN or infinity."""

from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM

from rareneurons.errors import LEAVE_OUT, CheckpointError
from rareneurons.models.architectures import Architecture, architecture_of, refuse_unsupported
from rareneurons.models.weights import reason_of, refuse_foreign_shards


def open_checkpoint(folder: str, dtype: torch.dtype = torch.float32, device: str = "cpu") -> Architecture:
    """Load a transformers folder for evaluation.

    Attention runs in its ``eager`` form, the one whose pattern can be read. Weights come from safetensors where the
    folder has them, otherwise from ``.bin`` files read with ``weights_only``; remote code never runs.

    In float64 the forward pass keeps float64: attention runs in the form transformers prefers, because its eager form
    rounds the softmax to float32 (Gemma 2 has no other), and the norms that round are replaced
    (:func:`keep_float64_in_norms`).

    Args:
        folder: a folder as ``save_pretrained`` writes it.
        dtype: floating-point type the weights are cast to.
        device: torch device the model is moved to.

    Returns:
        The model behind its architecture's adapter, in evaluation mode, without gradients.

    Raises:
        CheckpointError: the folder cannot be read, its architecture is unknown, or a weight is NaN or infinite.
    """
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        refuse_unsupported(config)  # before the weights are read: an unknown model may be large
        refuse_foreign_shards(folder)
        opened: Any = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=dtype,
            attn_implementation=None if dtype == torch.float64 else "eager",
            local_files_only=True,
            trust_remote_code=False,
            weights_only=True,
            output_loading_info=True,
        )
    except CheckpointError as error:
        raise CheckpointError(f"{folder}: {error}") from None
    except Exception as error:
        raise CheckpointError(
            f"{folder}: not a checkpoint that transformers can load ({reason_of(error)}). "
            f"Expected config.json with weights as safetensors or .bin beside it. {LEAVE_OUT}"
        ) from error
    model, loading = opened
    missing = sorted(loading["missing_keys"])
    if missing:
        raise CheckpointError(
            f"{folder}: {len(missing)} weights are missing from the files, first {missing[0]!r}; the model would run "
            f"on random numbers. {LEAVE_OUT}"
        )
    refuse_non_finite(model, folder)
    model.to(device)
    model.eval()
    model.requires_grad_(False)
    architecture = architecture_of(model)
    if dtype == torch.float64:
        keep_float64_in_norms(architecture)
    return architecture


def keep_float64_in_norms(architecture: Architecture) -> None:
    """Let every RMSNorm, and OLMo's LayerNorm, of a float64 model compute in float64.

    Those of transformers round to float32 whatever the model's precision is. An effect is a difference of two losses:
    that rounding puts noise of about 1e-7 nats on each, and without it 1e-14 is left (random 6-layer Llamas).
    """
    for module in architecture.model.modules():
        if type(module).__name__.endswith(("RMSNorm", "OlmoLayerNorm")):
            module.forward = architecture.norm_of(module).apply


def refuse_non_finite(model: torch.nn.Module, name: str) -> None:
    """Raise unless every weight is finite.

    Raises:
        CheckpointError: names the first weight with NaN or infinity, and how many of its values are.
    """
    for key, weight in model.named_parameters():
        bad = int((~torch.isfinite(weight)).sum())
        if bad:
            raise CheckpointError(
                f"{name}: weight {key!r} holds {bad} NaN or infinite values of {weight.numel()}; nothing was computed. "
                f"{LEAVE_OUT}"
            )
