"""Similarity of each head's attention from rare and from common rows, at each model's last checkpoint."""

from figure_job import draw, joined
from job import run

from rareneurons.figures.attention import pattern_similarity


def main(job):
    draw(job, pattern_similarity, joined(job.input), job.params.conditions)


run(main, snakemake)
