"""Whether an installed PyTorch can use a device at all, by its version and without importing it."""

import sys

from rareneurons.errors import ConfigurationError


def refuse_build_without(device: str, torch_version: str, platform: str = sys.platform) -> None:
    """Raise where PyTorch was built without the configured device; whether the machine has one is not looked at.

    Args:
        device: the configuration's word.
        torch_version: such as ``2.13.0+cpu``.
        platform: as ``sys.platform``; builds for ``darwin`` have MPS and no CUDA.

    Raises:
        ConfigurationError: names the key, and what to install.
    """
    if device == "cuda" and (torch_version.endswith("+cpu") or platform == "darwin"):
        raise ConfigurationError(
            f"device: found 'cuda', but PyTorch {torch_version} was built for CPUs alone; expected a build with CUDA. "
            "Install one (https://pytorch.org/get-started/locally gives the command), or set device: cpu"
        )
    if device == "mps" and platform != "darwin":
        raise ConfigurationError("device: found 'mps', which only Apple's machines have; set device: cpu, cuda or auto")
