"""What the scripts that open a checkpoint share: device, threads and blocks."""

import os

import numpy as np
import torch
from device import device_of

from rareneurons.models.architectures import Architecture
from rareneurons.models.checkpoints import open_checkpoint
from rareneurons.tokens import Blocks


def open_job_checkpoint(job, dtype: torch.dtype = torch.float32) -> Architecture:
    """The checkpoint a job is about, in the given precision on the configured device, with the job's threads."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    torch.set_num_threads(job.threads)
    return open_checkpoint(job.params.folder, dtype, device_of(job.params.device))


def read_blocks(file: str) -> Blocks:
    """Evaluation blocks as the rows stage wrote them."""
    with np.load(file) as arrays:
        return Blocks(arrays["tokens"], arrays["length"], arrays["document"])
