"""Patterns of attention, and effects of ablating every head of a checkpoint, on held-out rows."""

from dataclasses import replace

import pandas as pd
from checkpoint_job import open_job_checkpoint, read_blocks, smaller_batch_if_needed
from job import checkpoint_name, progress, run, shared_generator, write_parquet

from rareneurons.attention.estimates import Effort, attention_estimates
from rareneurons.groups import controlled_groups
from rareneurons.rows import rows_of_conditions, rows_of_documents


def main(job):
    # The same documents, and draws of them, at every checkpoint.
    rng, conditions = shared_generator(job), tuple(job.params.conditions)
    rows = rows_of_conditions(pd.read_parquet(job.input.rows), conditions)
    rows = rows_of_documents(rows, "heldout", job.params.documents, rng)
    architecture, blocks, effort = open_job_checkpoint(job), read_blocks(job.input.blocks), Effort(**job.params.effort)
    groups = controlled_groups(pd.read_parquet(job.input.groups), pd.read_parquet(job.input.controls))
    table, heads = smaller_batch_if_needed(
        lambda batch_size: attention_estimates(
            architecture,
            checkpoint_name(job),
            blocks,
            rows,
            conditions,
            groups,
            replace(effort, batch_size=batch_size),
            shared_generator(job),
            lambda what: progress(f"attention {job.wildcards.model}/{job.wildcards.checkpoint} {what}"),
        ),
        effort.batch_size,
        "attention.batch_size",
    )
    write_parquet(table, job.output.table)
    write_parquet(heads, job.output.heads)


run(main, snakemake)
