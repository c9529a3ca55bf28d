"""Compute one measure of the registry for the groups of a checkpoint, on held-out rows."""

from pkgutil import resolve_name
from typing import get_type_hints

from rareneurons.evidence import with_document_draws
from rareneurons_jobs.job import generator, run, shared_generator
from rareneurons_jobs.measure_job import read_evidence, read_groups, write_measured


def main(job):
    estimates = resolve_name(f"rareneurons.{job.params.function}")
    settings = get_type_hints(estimates)["settings"](**job.params.settings)
    measure, groups = job.wildcards.measure, read_groups(job, without_types=True)
    evidence = with_document_draws(read_evidence(job), job.params.bootstrap, shared_generator(job, measure))
    write_measured(estimates(evidence, groups, settings, generator(job, measure)), job)


run(main, snakemake)
