"""Spectra of the weight rows of each group of a checkpoint."""

import pandas as pd
from checkpoint_job import open_job_checkpoint
from job import checkpoint_name, run, write_parquet

from rareneurons.groups import measured_groups
from rareneurons.spectra import group_spectrum
from rareneurons.tables import measure_frame


def main(job):
    weights = open_job_checkpoint(job, device="cpu").last_mlp_weights()
    frame = pd.read_parquet(job.input.groups)
    condition = frame["condition"].iloc[0]
    estimates = [
        (condition, group, estimate)
        for group, (members, controls) in measured_groups(frame).items()
        for estimate in group_spectrum(weights, members, controls)
    ]
    write_parquet(measure_frame(checkpoint_name(job), estimates), job.output[0])


run(main, snakemake)
