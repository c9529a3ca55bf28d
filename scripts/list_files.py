"""Commit and files of a checkpoint on the hub; nothing is downloaded."""

from rareneurons.models.hub import listed_checkpoint
from rareneurons_jobs.job import run, write_json


def main(job):
    write_json(listed_checkpoint(job.params.repository, job.params.revision), job.output[0])


run(main, snakemake)
