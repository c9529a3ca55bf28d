"""Which device the arithmetic runs on."""

import torch


def device_of(name: str) -> str:
    """Torch device for the configuration's word; ``auto`` is CUDA, then MPS, then CPU."""
    if name != "auto":
        return name
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"
