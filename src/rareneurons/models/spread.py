"""Models whose weights lie on several devices, in memory or on the disk, as transformers' ``device_map`` asks for.

accelerate moves each part's weights and inputs to where the part is computed, and takes the weights away again. Between
passes, weights that are not on a computing device have a shape and no values.
"""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import nn

from rareneurons.errors import CheckpointError

DeviceMap = str | dict[str, str | int]  # ``auto``, or module -> accelerator, ``cpu`` or ``disk``
STORES = ("cpu", "disk")  # where weights wait for a computing device; the CPU computes if there is no accelerator


def is_spread(model: Any) -> bool:
    """Whether parts of the model are moved by accelerate; then tokens are given to it on the CPU."""
    return any(hasattr(module, "_hf_hook") for module in model.modules())


@contextmanager
def weights_at_hand(parts: Iterable[nn.Module]) -> Iterator[None]:
    """While active, all weights of the parts have values. Those of a spread model are then on the CPU."""
    with ExitStack() as stack:
        for module in (module for part in parts for module in part.modules()):
            if hasattr(module, "_hf_hook"):
                from accelerate.utils import align_module_device

                stack.enter_context(align_module_device(module, torch.device("cpu")))
        yield


def computing_devices(model: Any) -> list[str]:
    """Devices that compute a model's parts, as PyTorch names them, in the order of their names."""
    mapped = getattr(model, "hf_device_map", None) or {"": next(model.parameters()).device}
    named = {f"cuda:{device}" if isinstance(device, int) else str(device) for device in mapped.values()}
    return sorted(named - set(STORES)) or ["cpu"]


def refuse_several_devices(model: Any, what: str) -> None:
    """Raise if the model's layers are computed on more than one device.

    Args:
        model: a model as transformers opens it.
        what: what cannot be done then, for the message.

    Raises:
        CheckpointError: names the devices.
    """
    devices = computing_devices(model)
    if len(devices) > 1:
        raise CheckpointError(
            f"device_map: the model is computed on {', '.join(devices)}; {what} needs one that "
            "computes all layers. Give a device_map with one accelerator at most; it gets weights from cpu and disk"
        )
