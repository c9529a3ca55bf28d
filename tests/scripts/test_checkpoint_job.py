"""What the scripts that open a checkpoint share."""

import pytest
import torch

from rareneurons.errors import CheckpointError
from rareneurons_jobs.checkpoint_job import smaller_batch_if_needed

pytestmark = pytest.mark.faults


def device_that_holds(blocks: int):
    def work(batch_size: int) -> str:
        if batch_size > blocks:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return f"done with {batch_size}"

    return work


def test_a_batch_that_fits_is_left_alone(capsys):
    assert smaller_batch_if_needed(device_that_holds(8), 8, "trace.batch_size") == "done with 8"
    assert capsys.readouterr().err == ""


def test_out_of_memory_halves_the_batch_once_and_says_so(capsys):
    assert smaller_batch_if_needed(device_that_holds(4), 8, "trace.batch_size") == "done with 4"
    assert "out of memory with trace.batch_size: 8 (CUDA out of memory); trying again with 4" in capsys.readouterr().err


def test_half_the_batch_is_the_last_try():
    with pytest.raises(CheckpointError, match="^trace.batch_size: neither 8 nor 4 blocks per pass fit"):
        smaller_batch_if_needed(device_that_holds(3), 8, "trace.batch_size")
