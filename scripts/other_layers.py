"""Effect of ablating neurons of other layers than the last, and what screening them misses."""

import pandas as pd
import torch
from checkpoint_job import open_job_checkpoint, read_blocks
from job import checkpoint_name, generator, progress, run, write_parquet

from rareneurons.influence.other_layers import OtherLayersSettings, influence_of_layers


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
        generator(job),
        lambda what: progress(f"{what} of {job.wildcards.model}/{job.wildcards.checkpoint}"),
    )
    write_parquet(influence, job.output.influence)
    write_parquet(screening, job.output.screening)


run(main, snakemake)
