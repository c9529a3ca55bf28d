"""Single heads against whole layers and random sets of heads, at each model's last checkpoint."""

from figure_job import draw, joined
from job import run

from rareneurons.figures.attention import heads_and_layers


def main(job):
    draw(job, heads_and_layers, joined(job.input), job.params.condition)


run(main, snakemake)
