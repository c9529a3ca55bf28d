"""Which device the arithmetic runs on."""

import torch


def device_of(name: str, float64: bool = False) -> str:
    """Torch device for the configuration's word; ``auto`` is CUDA, then MPS, then CPU.

    Apple's MPS has no float64: where the arithmetic needs it (``float64``), the CPU takes its place.
    """
    if name == "auto":
        name = "mps" if torch.backends.mps.is_available() else "cpu"
        name = "cuda" if torch.cuda.is_available() else name
    return "cpu" if float64 and name == "mps" else name
