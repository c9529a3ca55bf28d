"""Effect of ablating neurons of other layers than the last, and what screening them misses."""

import pandas as pd
import torch

from rareneurons.influence.other_layers import OtherLayersSettings, influence_of_layers
from rareneurons_jobs.checkpoint_job import open_job_checkpoint, read_blocks
from rareneurons_jobs.job import checkpoint_name, generator, progress, run, write_parquet


def main(job):
    settings = dict(job.params.other_layers)
    influence, screening = influence_of_layers(
        open_job_checkpoint(job, torch.float64),
        checkpoint_name(job),
        read_blocks(job.input.blocks),
        pd.read_parquet(job.input.rows),
        settings.pop("layers"),
        job.params.reference,
        OtherLayersSettings(**settings),
        generator(job, "other_layers"),
        lambda what: progress(f"{what} of {job.wildcards.model}/{job.wildcards.checkpoint}"),
    )
    write_parquet(influence, job.output.influence)
    write_parquet(screening, job.output.screening)


run(main, snakemake)
