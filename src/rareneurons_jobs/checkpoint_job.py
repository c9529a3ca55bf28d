"""What the scripts that open a checkpoint share: device, threads and blocks."""

import atexit
import os
from collections.abc import Callable
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import numpy as np
import torch

from rareneurons.errors import CheckpointError
from rareneurons.models.architectures import Architecture
from rareneurons.models.checkpoints import open_checkpoint
from rareneurons.models.devices import device_of
from rareneurons.tokens import Blocks
from rareneurons_jobs.job import announce

T = TypeVar("T")


def open_job_checkpoint(job: Any, dtype: torch.dtype = torch.float32) -> Architecture:
    """The job's checkpoint, in the given precision on the configured device or devices, with the job's threads."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    torch.set_num_threads(job.threads)
    device = device_of(job.params.device, dtype == torch.float64)
    device_map = job.params.get("device_map")
    if device_map is None:
        return open_checkpoint(job.params.folder, dtype, device)
    offloaded = TemporaryDirectory(prefix="offloaded-")
    atexit.register(offloaded.cleanup)
    return open_checkpoint(job.params.folder, dtype, device_map=device_map, offload_folder=offloaded.name)


def smaller_batch_if_needed(work: Callable[[int], T], batch_size: int, key: str) -> T:
    """``work(batch_size)``, once more with half the batch if the accelerator's memory doesn't hold it.

    Raises:
        CheckpointError: half the batch is too much as well; names the configuration's key.
    """
    half = max(1, batch_size // 2)
    try:
        return work(batch_size)
    except torch.OutOfMemoryError as error:
        announce(f"out of memory with {key}: {batch_size} ({error}); trying again with {half}")
    torch.cuda.empty_cache()
    try:
        return work(half)
    except torch.OutOfMemoryError as error:
        raise CheckpointError(
            f"{key}: neither {batch_size} nor {half} blocks per pass fit the device's memory ({error}); lower it, or "
            "set device: cpu"
        ) from error


def read_blocks(file: str) -> Blocks:
    """Evaluation blocks as the rows stage wrote them."""
    with np.load(file) as arrays:
        return Blocks(arrays["tokens"], arrays["length"], arrays["document"])
