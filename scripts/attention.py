"""Ablate every attention head of a checkpoint that can reach the last MLP."""

import pandas as pd
from checkpoint_job import open_job_checkpoint, read_blocks
from job import checkpoint_name, generator, progress, run, write_parquet

from rareneurons.attention import attention_estimates
from rareneurons.groups import measured_groups
from rareneurons.rows import rows_of_conditions, rows_of_documents
from rareneurons.tables import measure_frame


def main(job):
    settings, rng = job.params.attention, generator(job)
    conditions = job.params.conditions
    rows = rows_of_conditions(pd.read_parquet(job.input.rows), conditions)
    rows = rows_of_documents(rows, "heldout", settings["documents"], rng)
    found = attention_estimates(
        open_job_checkpoint(job),
        read_blocks(job.input.blocks),
        rows,
        conditions,
        measured_groups(pd.read_parquet(job.input.groups), pd.read_parquet(job.input.controls)),
        settings["batch_size"],
        settings["bootstrap"],
        rng,
        progress(f"attention {job.wildcards.model}/{job.wildcards.checkpoint}"),
    )
    table = measure_frame(checkpoint_name(job), [(condition, group, e) for condition, group, _, _, e in found])
    table["layer"] = [layer for _, _, layer, _, _ in found]
    table["head"] = [head for _, _, _, head, _ in found]
    write_parquet(table, job.output[0])


run(main, snakemake)
