"""A PyTorch build that cannot have the configured device is recognised by its version."""

import pytest

from rareneurons.errors import ConfigurationError
from rareneurons.planning.devices import refuse_build_without

pytestmark = pytest.mark.faults


@pytest.mark.parametrize(
    ("device", "version", "platform"),
    [
        ("cuda", "2.13.0+cu126", "linux"),
        ("cuda", "2.13.0", "linux"),
        ("cuda", "2.13.0+rocm6.4", "linux"),
        ("mps", "2.13.0", "darwin"),
        ("cpu", "2.13.0+cpu", "linux"),
        ("auto", "2.13.0+cpu", "darwin"),
    ],
)
def test_a_build_that_may_have_the_device_passes(device, version, platform):
    refuse_build_without(device, version, platform)


@pytest.mark.parametrize(
    ("device", "version", "platform", "said"),
    [
        ("cuda", "2.13.0+cpu", "linux", r"'cuda', but PyTorch 2.13.0\+cpu was built for CPUs alone.* Install"),
        ("cuda", "2.13.0", "darwin", "'cuda', but PyTorch 2.13.0 was built for CPUs alone"),
        ("mps", "2.13.0+cu126", "linux", "'mps', which only Apple's machines have; set device: cpu"),
    ],
)
def test_a_build_without_the_device_names_the_key(device, version, platform, said):
    with pytest.raises(ConfigurationError, match=f"^device: found {said}"):
        refuse_build_without(device, version, platform)
