"""Measure organization of each group of a checkpoint on held-out rows, and in its weights."""

from rareneurons.organization.estimates import organization_estimates
from rareneurons.organization.settings import OrganizationSettings
from rareneurons_jobs.job import generator, run
from rareneurons_jobs.measure_job import read_evidence, read_groups, write_measured


def main(job):
    settings, rng = OrganizationSettings(**job.params.settings), generator(job, "organization")
    write_measured(organization_estimates(read_evidence(job), read_groups(job), settings, rng), job)


run(main, snakemake)
