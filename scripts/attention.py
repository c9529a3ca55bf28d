"""Patterns of attention, and effects of ablating the heads of a checkpoint, on held-out rows."""

import time
from contextlib import contextmanager
from dataclasses import replace

import pandas as pd

from rareneurons.attention.estimates import AttentionEvidence, AttentionSettings, attention_estimates
from rareneurons.models.spread import refuse_several_devices
from rareneurons.rows import rows_of_conditions, rows_of_documents
from rareneurons_jobs.checkpoint_job import open_job_checkpoint, read_blocks, smaller_batch_if_needed
from rareneurons_jobs.job import announce, checkpoint_name, progress_of, run, shared_generator
from rareneurons_jobs.measure_job import own_groups, write_measured


def read_attention_evidence(job):
    """The model with its blocks, and rows of documents that are the same at every checkpoint."""
    architecture = open_job_checkpoint(job)
    refuse_several_devices(architecture.model, "ablation of attention heads")
    rows = rows_of_conditions(pd.read_parquet(job.input.rows), job.params.conditions)
    heldout, discovery = (
        rows_of_documents(rows, split, job.params.documents, shared_generator(job, "attention"))
        for split in ("heldout", "discovery")
    )
    return AttentionEvidence(
        checkpoint_name(job),
        tuple(job.params.conditions),
        heldout,
        discovery=discovery,
        architecture=architecture,
        blocks=read_blocks(job.input.blocks),
    )


def progress(job, documents, batch_size):
    """Reports each stage of attention, and says after its first batch how long it will take."""

    @contextmanager
    def of(stage, total):
        what, started, done = f"attention {job.wildcards.model}/{job.wildcards.checkpoint} {stage}", time.time(), 0
        first_batch = min(total, total * batch_size / documents)
        with progress_of(what, total, "layer evaluations") as update:

            def advance(amount):
                nonlocal done
                update(amount)
                if done < first_batch <= done + amount:
                    seconds = (time.time() - started) * total / (done + amount)
                    announce(
                        f"{what}: {documents} documents, {total:,} layer evaluations, about {seconds:,.0f} seconds"
                    )
                done += amount

            yield advance

    return of


def main(job):
    evidence, groups, settings = read_attention_evidence(job), own_groups(job), AttentionSettings(**job.params.settings)
    documents = evidence.rows["document"].nunique()
    measured = smaller_batch_if_needed(
        lambda batch_size: attention_estimates(
            evidence,
            groups,
            replace(settings, batch_size=batch_size),
            shared_generator(job, "attention"),  # the same draws of documents at every checkpoint
            progress(job, documents, batch_size),
        ),
        settings.batch_size,
        "attention.batch_size",
    )
    write_measured(measured, job)


run(main, snakemake)
