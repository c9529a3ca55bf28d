"""Patterns of attention, and effects of ablating every head of a checkpoint, on held-out rows."""

from dataclasses import replace

import pandas as pd
from checkpoint_job import open_job_checkpoint, read_blocks, smaller_batch_if_needed
from job import checkpoint_name, progress, run, shared_generator
from measure_job import own_groups, write_measured

from rareneurons.attention.estimates import AttentionEvidence, AttentionSettings, attention_estimates
from rareneurons.models.spread import refuse_several_devices
from rareneurons.rows import rows_of_conditions, rows_of_documents


def read_attention_evidence(job):
    """The model with its blocks, and rows of documents that are the same at every checkpoint."""
    architecture = open_job_checkpoint(job)
    refuse_several_devices(architecture.model, "ablation of attention heads")
    rows = rows_of_conditions(pd.read_parquet(job.input.rows), job.params.conditions)
    return AttentionEvidence(
        checkpoint_name(job),
        tuple(job.params.conditions),
        rows_of_documents(rows, "heldout", job.params.documents, shared_generator(job)),
        architecture=architecture,
        blocks=read_blocks(job.input.blocks),
    )


def main(job):
    evidence, groups, settings = read_attention_evidence(job), own_groups(job), AttentionSettings(**job.params.settings)
    measured = smaller_batch_if_needed(
        lambda batch_size: attention_estimates(
            evidence,
            groups,
            replace(settings, batch_size=batch_size),
            shared_generator(job),  # the same draws of documents at every checkpoint
            lambda what: progress(f"attention {job.wildcards.model}/{job.wildcards.checkpoint} {what}"),
        ),
        settings.batch_size,
        "attention.batch_size",
    )
    write_measured(measured, job)


run(main, snakemake)
