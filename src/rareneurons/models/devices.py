"""Which device the arithmetic runs on."""

import torch

from rareneurons.errors import ConfigurationError
from rareneurons.planning.devices import refuse_build_without


def device_of(name: str, float64: bool = False) -> str:
    """Torch device for the configuration's word; ``auto`` is CUDA, then MPS, then CPU.

    Apple's MPS has no float64: where the arithmetic needs it (``float64``), the CPU takes its place.

    Raises:
        ConfigurationError: the device is not there; says what to install.
    """
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return device_of(next((device for device, available in there.items() if available), "cpu"), float64)
    if not there.get(name, True):
        refuse_build_without(name, torch.__version__)
        raise ConfigurationError(
            f"device: found {name!r}, but PyTorch {torch.__version__} finds no such device on this machine; expected "
            "one that its driver shows (for cuda: nvidia-smi). Run where there is one, or set device: cpu"
        )
    return "cpu" if float64 and name == "mps" else name
