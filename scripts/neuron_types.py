"""Compare a checkpoint's groups with token-frequency and entropy neurons."""

import pandas as pd
import torch
from job import generator, progress, read_array, run
from measure_job import read_evidence, read_groups, write_measured

from rareneurons.bands import read_counts
from rareneurons.models.devices import device_of
from rareneurons.neuron_types.estimates import NeuronEvidence, NeuronTypeSettings, neuron_type_estimates


def main(job):
    torch.set_num_threads(job.threads)
    evidence = NeuronEvidence(
        **vars(read_evidence(job)),
        residual=read_array(job.input.trace, "residual"),
        reference=read_array(job.input.trace, "mean_activation"),
        influence=pd.read_parquet(job.input.influence),
        counts=read_counts(job.input.counts),
        vocabulary=pd.read_parquet(job.input.frequencies)["token"].to_numpy(),
    )
    settings = NeuronTypeSettings(
        device_of(job.params.device, float64=True),
        progress(f"neuron types {job.wildcards.model}/{job.wildcards.checkpoint}"),
    )
    write_measured(neuron_type_estimates(evidence, read_groups(job), settings, generator(job)), job)


run(main, snakemake)
