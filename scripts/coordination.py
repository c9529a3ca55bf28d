"""Measure coordination of each group of a checkpoint on held-out rows, and of its output weights."""

from dataclasses import replace

from job import generator, run, shared_generator
from measure_job import read_evidence, read_groups, write_measured

from rareneurons.coordination.estimates import CoordinationSettings, coordination_estimates
from rareneurons.stats import document_weights


def main(job):
    evidence, shared = read_evidence(job), shared_generator(job)
    weights = {}
    for condition in evidence.conditions:
        _, document = evidence.at(condition, "heldout")
        weights[f"{condition}/heldout"] = document_weights(len(set(document)), job.params.bootstrap, shared)
    evidence = replace(evidence, weights=weights)
    write_measured(coordination_estimates(evidence, read_groups(job), CoordinationSettings(), generator(job)), job)


run(main, snakemake)
