"""Commit and files of a checkpoint on the hub; nothing is downloaded."""

from job import run, write_json

from rareneurons.models.hub import listed_checkpoint


def main(job):
    write_json(listed_checkpoint(job.params.repository, job.params.revision), job.output[0])


run(main, snakemake)
