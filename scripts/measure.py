"""Compute one measure of the registry for the groups of a checkpoint, on held-out rows."""

from pkgutil import resolve_name
from typing import get_type_hints

from job import generator, run, shared_generator
from measure_job import read_evidence, read_groups, write_measured

from rareneurons.evidence import with_document_draws


def main(job):
    estimates = resolve_name(f"rareneurons.{job.params.function}")
    settings = get_type_hints(estimates)["settings"](**job.params.settings)
    evidence = with_document_draws(read_evidence(job), job.params.bootstrap, shared_generator(job))
    write_measured(estimates(evidence, read_groups(job), settings, generator(job)), job)


run(main, snakemake)
