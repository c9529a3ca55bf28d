"""Compute one measure of the registry for the groups of a checkpoint, on held-out rows."""

from dataclasses import replace
from pkgutil import resolve_name
from typing import get_type_hints

from rareneurons.stats import document_weights
from rareneurons_jobs.job import generator, run, shared_generator
from rareneurons_jobs.measure_job import read_evidence, read_groups, write_measured


def main(job):
    estimates = resolve_name(f"rareneurons.{job.params.function}")
    settings = get_type_hints(estimates)["settings"](**job.params.settings)
    evidence, shared = read_evidence(job), shared_generator(job, job.wildcards.measure)
    weights = {}
    for condition in evidence.conditions:
        _, document = evidence.at(condition, "heldout")
        weights[f"{condition}/heldout"] = document_weights(len(set(document)), job.params.bootstrap, shared)
    evidence = replace(evidence, weights=weights)
    groups = read_groups(job, without_types=True)
    write_measured(estimates(evidence, groups, settings, generator(job, job.wildcards.measure)), job)


run(main, snakemake)
