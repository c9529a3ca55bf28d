"""What the scripts that open a checkpoint share: device, threads, blocks and rows."""

import os

import numpy as np
import pandas as pd
import torch

from rareneurons.models.architectures import Architecture
from rareneurons.models.checkpoints import open_checkpoint
from rareneurons.tokens import Blocks


def device_of(name: str) -> str:
    """Torch device for the configuration's word; ``auto`` is CUDA, then MPS, then CPU."""
    if name != "auto":
        return name
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def open_job_checkpoint(job, dtype: torch.dtype = torch.float32, device: str | None = None) -> Architecture:
    """The checkpoint a job is about, on the configured device (or the one given), with the job's threads."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    torch.set_num_threads(job.threads)
    return open_checkpoint(job.params.folder, dtype, device or device_of(job.params.device))


def read_blocks(file: str) -> Blocks:
    """Evaluation blocks as the rows stage wrote them."""
    with np.load(file) as arrays:
        return Blocks(arrays["tokens"], arrays["length"], arrays["document"])


def read_rows(file: str) -> pd.DataFrame:
    """Selected rows as the rows stage wrote them."""
    return pd.read_parquet(file)
