"""Measure organization of each group of a checkpoint on held-out rows, and in its weights."""

from job import generator, run
from measure_job import read_evidence, read_groups, write_measured

from rareneurons.organization.estimates import organization_estimates
from rareneurons.organization.settings import OrganizationSettings


def main(job):
    settings = OrganizationSettings(**job.params.settings)
    write_measured(organization_estimates(read_evidence(job), read_groups(job), settings, generator(job)), job)


run(main, snakemake)
