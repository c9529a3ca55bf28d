"""Patterns of attention, and effects of ablating every head of a checkpoint, on held-out rows."""

import pandas as pd
from checkpoint_job import open_job_checkpoint, read_blocks
from job import checkpoint_name, progress, run, shared_generator, write_parquet

from rareneurons.attention.estimates import Effort, attention_estimates
from rareneurons.groups import controlled_groups
from rareneurons.rows import rows_of_conditions, rows_of_documents


def main(job):
    # The same documents, and draws of them, at every checkpoint.
    rng, conditions = shared_generator(job), tuple(job.params.conditions)
    rows = rows_of_conditions(pd.read_parquet(job.input.rows), conditions)
    table, heads = attention_estimates(
        open_job_checkpoint(job),
        checkpoint_name(job),
        read_blocks(job.input.blocks),
        rows_of_documents(rows, "heldout", job.params.documents, rng),
        conditions,
        controlled_groups(pd.read_parquet(job.input.groups), pd.read_parquet(job.input.controls)),
        Effort(**job.params.effort),
        rng,
        lambda what: progress(f"attention {job.wildcards.model}/{job.wildcards.checkpoint} {what}"),
    )
    write_parquet(table, job.output.table)
    write_parquet(heads, job.output.heads)


run(main, snakemake)
