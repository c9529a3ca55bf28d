"""Spectra of the weight rows of each group of a checkpoint."""

import pandas as pd
from job import checkpoint_name, run, write_parquet
from safetensors.numpy import load_file

from rareneurons.groups import measured_groups
from rareneurons.spectra import group_spectrum, neuron_weights
from rareneurons.tables import measure_frame


def main(job):
    weights = neuron_weights(load_file(job.input.last_layer))
    frame = pd.read_parquet(job.input.groups)
    condition = frame["condition"].iloc[0]
    estimates = [
        (condition, group, estimate)
        for group, (members, controls) in measured_groups(frame, pd.read_parquet(job.input.controls)).items()
        for estimate in group_spectrum(weights, members, controls)
    ]
    write_parquet(measure_frame(checkpoint_name(job), estimates), job.output[0])


run(main, snakemake)
