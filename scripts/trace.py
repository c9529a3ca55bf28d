"""One forward pass over the evaluation blocks of a checkpoint."""

from checkpoint_job import open_job_checkpoint, read_blocks, read_rows
from job import progress, run, write_arrays

from rareneurons.trace import trace_rows


def main(job):
    trace = trace_rows(
        open_job_checkpoint(job),
        read_blocks(job.input.blocks),
        read_rows(job.input.rows),
        job.params.batch_size,
        progress(f"trace {job.wildcards.model}/{job.wildcards.checkpoint}"),
    )
    write_arrays(vars(trace), job.output[0])


run(main, snakemake)
