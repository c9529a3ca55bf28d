"""Effect of each head on the plateau neurons at each model's last checkpoint: rare, common, difference."""

from figure_job import draw, joined
from job import run

from rareneurons.figures.attention import head_maps


def main(job):
    draw(job, head_maps, joined(job.input), job.params.conditions, job.params.alpha)


run(main, snakemake)
