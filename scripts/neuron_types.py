"""Compare a checkpoint's groups with token-frequency and entropy neurons."""

import pandas as pd

from rareneurons.neuron_types.estimates import NeuronEvidence, NeuronTypeSettings, neuron_type_estimates
from rareneurons_jobs.job import generator, run
from rareneurons_jobs.measure_job import read_evidence, read_groups, write_measured


def main(job):
    evidence = NeuronEvidence(**vars(read_evidence(job)), neurons=pd.read_parquet(job.input.neurons))
    rng = generator(job, "neuron_types")
    write_measured(neuron_type_estimates(evidence, read_groups(job), NeuronTypeSettings(), rng), job)


run(main, snakemake)
