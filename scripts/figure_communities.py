"""Correlation matrices ordered by community at each model's last checkpoint, beside a matched group's."""

from figure_job import draw
from job import run
from safetensors.numpy import load_file

from rareneurons.figures.organization import community_matrices


def main(job):
    arrays = [load_file(file) for file in job.input]
    draw(job, community_matrices, dict(zip(job.params.models, arrays, strict=True)))


run(main, snakemake)
