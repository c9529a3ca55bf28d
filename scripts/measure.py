"""Compute one measure of the registry for the groups of a checkpoint, on held-out rows."""

from dataclasses import replace
from pkgutil import resolve_name
from typing import get_type_hints

from job import generator, run, shared_generator
from measure_job import read_evidence, read_groups, write_measured

from rareneurons.stats import document_weights


def main(job):
    estimates = resolve_name(f"rareneurons.{job.params.function}")
    settings = get_type_hints(estimates)["settings"](**job.params.settings)
    evidence, shared = read_evidence(job), shared_generator(job)
    weights = {}
    for condition in evidence.conditions:
        _, document = evidence.at(condition, "heldout")
        weights[f"{condition}/heldout"] = document_weights(len(set(document)), job.params.bootstrap, shared)
    evidence = replace(evidence, weights=weights)
    write_measured(estimates(evidence, read_groups(job, without_types=True), settings, generator(job)), job)


run(main, snakemake)
