"""Texts in which the neurons of a checkpoint's groups are most active and matter most, and tokens that they help."""

from functools import partial

import pandas as pd
import torch
from safetensors.numpy import load_file

from rareneurons.conventions import MEASURED
from rareneurons.examples.tables import checkpoint_examples
from rareneurons.examples.windows import Ablation
from rareneurons.groups import members_of
from rareneurons.influence.last_mlp import fixed_reference
from rareneurons.models.devices import device_of
from rareneurons.models.last_layer import LastLayer
from rareneurons.tokens import open_tokenizer, visible_tokens
from rareneurons_jobs.checkpoint_job import open_job_checkpoint, read_blocks, smaller_batch_if_needed
from rareneurons_jobs.job import checkpoint_name, progress, run, write_parquet


def main(job):
    architecture, trace, influence = open_job_checkpoint(job), load_file(job.input.trace), job.params.influence
    ablation = Ablation(
        LastLayer.from_arrays(load_file(job.input.last_layer)).to(
            device_of(job.params.device, float64=True), torch.float32
        ),
        fixed_reference(trace, influence["reference"]),
        influence["tolerance"],
        int(influence["memory_gib"] * 2**30),
    )
    found = smaller_batch_if_needed(
        lambda batch_size: checkpoint_examples(
            checkpoint_name(job),
            architecture,
            ablation,
            trace,
            read_blocks(job.input.blocks),
            pd.read_parquet(job.input.rows),
            members_of(pd.read_parquet(job.input.groups), MEASURED),
            job.params.condition,
            partial(visible_tokens, open_tokenizer(job.params.tokenizer)),
            batch_size,
            progress=progress(f"examples {job.wildcards.model}/{job.wildcards.checkpoint}"),
        ),
        job.params.batch_size,
        "trace.batch_size",
    )
    write_parquet(found.top_examples, job.output.examples)
    write_parquet(found.token_effects, job.output.tokens)


run(main, snakemake)
