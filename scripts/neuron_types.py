"""Compare a checkpoint's groups with token-frequency and entropy neurons."""

import pandas as pd
from job import generator, run
from measure_job import read_evidence, read_groups, write_measured

from rareneurons.neuron_types.estimates import NeuronEvidence, NeuronTypeSettings, neuron_type_estimates


def main(job):
    evidence = NeuronEvidence(**vars(read_evidence(job)), neurons=pd.read_parquet(job.input.neurons))
    write_measured(neuron_type_estimates(evidence, read_groups(job), NeuronTypeSettings(), generator(job)), job)


run(main, snakemake)
