"""The device that is computed on, or a message that names the key."""

import pytest
import torch

from rareneurons.errors import ConfigurationError
from rareneurons.models.devices import device_of

pytestmark = pytest.mark.faults


@pytest.fixture
def machine(monkeypatch):
    """Sets which devices PyTorch finds, and which build it is."""

    def found(*devices: str, version: str = "2.13.0+cu126") -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: "cuda" in devices)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: "mps" in devices)
        monkeypatch.setattr(torch, "__version__", version)

    return found


@pytest.mark.parametrize(
    ("there", "name", "float64", "expected"),
    [
        ((), "auto", False, "cpu"),
        (("mps",), "auto", False, "mps"),
        (("mps",), "auto", True, "cpu"),
        (("cuda", "mps"), "auto", True, "cuda"),
        (("cuda",), "cpu", False, "cpu"),
        (("cuda",), "cuda", True, "cuda"),
        (("mps",), "mps", True, "cpu"),
    ],
)
def test_device_by_the_configuration_s_word(machine, there, name, float64, expected):
    machine(*there)
    assert device_of(name, float64) == expected


def test_a_device_that_is_not_there_is_named_and_what_to_install(machine):
    machine(version="2.13.0+cpu")
    with pytest.raises(ConfigurationError, match=r"^device: found 'cuda', .* built for CPUs alone; .* Install"):
        device_of("cuda")
    machine()
    with pytest.raises(ConfigurationError, match=r"^device: found 'cuda', .* finds no such device .* nvidia-smi"):
        device_of("cuda")
    with pytest.raises(ConfigurationError, match="^device: found 'mps'"):
        device_of("mps", float64=True)
