"""Sorted effects of heads on the plateau neurons, with Gini coefficient and null, at each model's last checkpoint."""

from figure_job import draw, joined
from job import run

from rareneurons.figures.attention import concentration


def main(job):
    draw(job, concentration, joined(job.input.heads), joined(job.input.attention), job.params.conditions)


run(main, snakemake)
