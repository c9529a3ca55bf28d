"""Spectra of the weight rows of each group of a checkpoint."""

import pandas as pd
from job import checkpoint_name, generator, run, write_parquet
from safetensors.numpy import load_file

from rareneurons.groups import measured_groups
from rareneurons.spectra import group_spectrum, neuron_weights
from rareneurons.tables import measure_frame


def main(job):
    weights, rng = neuron_weights(load_file(job.input.last_layer)), generator(job)
    groups, drawn = pd.read_parquet(job.input.groups), pd.read_parquet(job.input.controls)
    controls = {kind: measured_groups(groups, drawn, kind) for kind in ("random", "matched")}
    condition = groups["condition"].iloc[0]
    estimates = []
    for group, (members, _) in controls["random"].items():
        of_group = {kind: found[group][1] for kind, found in controls.items()}
        found = group_spectrum(weights, members, of_group, job.params.draws, rng)
        estimates += [(condition, group, estimate) for estimate in found]
    write_parquet(measure_frame(checkpoint_name(job), estimates), job.output[0])


run(main, snakemake)
