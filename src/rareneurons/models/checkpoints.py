"""Open a checkpoint folder in float32 and refuse one that holds NaN or infinity."""

import logging
import re
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from transformers import CONFIG_MAPPING, AutoModelForCausalLM, PreTrainedConfig

from rareneurons.errors import LEAVE_OUT, CheckpointError
from rareneurons.model_folders.config_file import ABOUT_RUNNING, read_config, refuse_unusable
from rareneurons.models.architectures import Architecture, adapter_of, architecture_of, refuse_unsupported
from rareneurons.models.spread import DeviceMap, weights_at_hand
from rareneurons.models.weights import is_want_of_memory, reason_of, stored_places, unread_weights


def open_checkpoint(
    folder: str,
    dtype: torch.dtype = torch.float32,
    device: str = "cpu",
    device_map: DeviceMap | None = None,
    offload_folder: str | None = None,
) -> Architecture:
    """Load a transformers folder for evaluation.

    Attention runs in the form that transformers prefers, which is faster than the ``eager`` one; patterns are read in
    the latter. Weights come from safetensors where the folder has them, otherwise from ``.bin`` files read with
    ``weights_only``; remote code never runs.

    In float64 the forward pass keeps float64, except where attention has no other form than the eager one, whose
    softmax is in float32 (Gemma 2). The norms that round are replaced (:func:`keep_float64_in_norms`).

    Args:
        folder: a folder as ``save_pretrained`` writes it.
        dtype: floating-point type the weights are cast to.
        device: torch device the model is moved to. It does not count if there is a ``device_map``.
        device_map: where each part of the model lies, as ``from_pretrained`` takes it; for models larger than a device
            or than the memory.
        offload_folder: takes weights that wait on the disk in another form than the checkpoint has them in.

    Returns:
        The model behind its architecture's adapter, in evaluation mode, without gradients.

    Raises:
        CheckpointError: the folder cannot be read, its architecture is unknown, its weights are not those that its
            config.json describes, or a weight is NaN or infinite.
    """
    config = checked_config(folder)
    stored = stored_places(folder)  # refuses what no reader can use, before memory is taken
    try:
        opened: Any = AutoModelForCausalLM.from_pretrained(
            folder,
            config=config,
            dtype=dtype,
            local_files_only=True,
            trust_remote_code=False,
            weights_only=True,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # reported below, with their names
            device_map=device_map,
            offload_folder=offload_folder,
        )
    except Exception as error:
        if is_want_of_memory(error):
            raise
        raise CheckpointError(
            f"{folder}: not a checkpoint that transformers can load ({reason_of(error)}). "
            f"Expected config.json with weights as safetensors or .bin beside it. {LEAVE_OUT}"
        ) from error
    model, loading = opened
    refuse_misfit(loading | {"unexpected_keys": {*loading["unexpected_keys"], *unreported(model, stored)}}, folder)
    refuse_non_finite(model, folder)
    if device_map is None:
        model.to(device)
    model.eval()
    model.requires_grad_(False)
    architecture = architecture_of(model)
    if dtype == torch.float64:
        keep_float64_in_norms(architecture)
    return architecture


def checked_config(folder: str) -> PreTrainedConfig:
    """Configuration of a folder's model, refused unless the analysis can describe it; no weights are read.

    What config.json says about running the model (attention's implementation, the type of its numbers) does not count.
    Code that a folder brings along (``auto_map``) never runs.

    Raises:
        CheckpointError: config.json cannot be used, or no adapter knows the architecture.
    """
    content = read_config(folder)
    model_type, own_code = str(content.get("model_type", "")), "auto_map" in content
    if own_code:
        logging.warning(
            "%s/config.json: auto_map names code of the model's own, which is never run; transformers' own %s is used",
            folder,
            model_type or "model",
        )
    try:
        adapter_of(model_type)
        refuse_unusable(content, folder)
        about_the_model = {key: value for key, value in content.items() if key not in ABOUT_RUNNING}
        config = CONFIG_MAPPING[model_type].from_dict(about_the_model)
        refuse_unsupported(config)
    except CheckpointError as error:
        never_run = "; auto_map names code of its own, which is never run" if own_code else ""
        raise CheckpointError(f"{str(error) if folder in str(error) else f'{folder}: {error}'}{never_run}") from None
    except Exception as error:
        raise CheckpointError(
            f"{folder}/config.json: found {' '.join(str(error).split())}; expected what transformers' "
            f"{model_type} takes. {LEAVE_OUT}"
        ) from error
    return config


def unreported(model: Any, stored: Iterable[str]) -> list[str]:
    """Stored weights that a model does not read, but of which transformers says nothing.

    Its patterns for GPT-2's masks (``attn.bias``) hit weights (``c_attn.bias``) as well.
    """
    patterns = model._keys_to_ignore_on_load_unexpected or ()
    known = set(model.state_dict())
    return [
        key
        for key in stored
        if any(re.search(pattern, key) for pattern in patterns)
        and not {key, f"{model.base_model_prefix}.{key}"} & known
    ]


def refuse_misfit(loading: Mapping[str, Any], folder: str) -> None:
    """Raise unless the files hold the weights of the model that config.json describes: all of them, and no others.

    Args:
        loading: ``missing_keys``, ``unexpected_keys`` and ``mismatched_keys``, as transformers reports them.
        folder: for the message.

    Raises:
        CheckpointError: says how many weights are missing, left over or of another shape, and the first.
    """
    missing, unread = sorted(loading["missing_keys"]), unread_weights(loading["unexpected_keys"])
    other_shapes = sorted(loading["mismatched_keys"])
    if other_shapes:
        key, *shapes = other_shapes[0]
        stored, expected = (tuple(shape) for shape in shapes)
        raise CheckpointError(
            f"{folder}: {len(other_shapes)} weights in the files have other shapes than config.json describes, first "
            f"{key!r}: {stored} in place of {expected}. Expected the config.json of these weights. {LEAVE_OUT}"
        )
    if missing:
        raise CheckpointError(
            f"{folder}: {len(missing)} weights are missing from the files, first {missing[0]!r}; the model would run "
            f"on random numbers. {LEAVE_OUT}"
        )
    if unread:
        raise CheckpointError(
            f"{folder}: {len(unread)} weights in the files are none of the model that config.json describes, first "
            f"{unread[0]!r}; it would run without them. Expected the config.json of these weights. {LEAVE_OUT}"
        )


def keep_float64_in_norms(architecture: Architecture) -> None:
    """Let every RMSNorm, and OLMo's LayerNorm, of a float64 model compute in float64.

    Those of transformers round to float32 whatever the model's precision is. An effect is a difference of two losses:
    that rounding puts noise of about 1e-7 nats on each, and without it 1e-14 is left (random 6-layer Llamas).
    """
    for module in architecture.model.modules():
        if type(module).__name__.endswith(("RMSNorm", "OlmoLayerNorm")):
            module.forward = architecture.norm_of(module).apply


def refuse_quantised(model: Any, name: str) -> None:
    """Raise unless every weight of a model in memory is a floating-point number of 16 bits or more.

    Packages that quantise keep packed whole numbers, of which ablation would compute something else.

    Raises:
        CheckpointError: names the first weight, its type and, if the model says it, the method.
    """
    for key, weight in model.named_parameters():
        if not weight.dtype.is_floating_point or weight.element_size() < 2:
            said = getattr(model.config, "quantization_config", None) or {}
            method = said.get("quant_method", "") if isinstance(said, Mapping) else getattr(said, "quant_method", "")
            by = f", quantised by {getattr(method, 'value', method)}" if method else ""
            raise CheckpointError(
                f"{name}: weight {key!r} is of type {str(weight.dtype).removeprefix('torch.')}{by}; expected "
                "floating-point numbers of 16 to 64 bits. Use the model before its quantisation, or call "
                "model.dequantize() before"
            )


def refuse_non_finite(model: torch.nn.Module, name: str) -> None:
    """Raise unless every weight is finite.

    Raises:
        CheckpointError: names the first weight with NaN or infinity, and how many of its values are.
    """
    for module_name, module in model.named_modules():
        if not list(module.parameters(recurse=False)):
            continue
        with weights_at_hand([module]):
            for key, weight in module.named_parameters(recurse=False):
                bad = int((~torch.isfinite(weight)).sum())
                if bad:
                    raise CheckpointError(
                        f"{name}: weight {f'{module_name}.{key}'!r} holds {bad} NaN or infinite values of "
                        f"{weight.numel()}; nothing was computed. {LEAVE_OUT}"
                    )
