"""One forward pass over the evaluation blocks of a checkpoint."""

import pandas as pd
import torch
from checkpoint_job import open_job_checkpoint, read_blocks
from job import progress, run, write_arrays

from rareneurons.trace import trace_rows


def main(job):
    architecture = open_job_checkpoint(job)
    trace = trace_rows(
        architecture,
        read_blocks(job.input.blocks),
        pd.read_parquet(job.input.rows),
        job.params.batch_size,
        progress(f"trace {job.wildcards.model}/{job.wildcards.checkpoint}"),
    )
    write_arrays(vars(trace), job.output.trace)
    layer = architecture.last_layer().to("cpu", torch.float32)
    write_arrays(layer.arrays(), job.output.last_layer)


run(main, snakemake)
