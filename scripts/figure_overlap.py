"""Overlap of the most influential neurons of the two conditions against training step."""

import pandas as pd
from figure_job import draw
from job import run

from rareneurons.figures.regimes import overlap_by_step


def main(job):
    draw(job, overlap_by_step, pd.read_csv(job.input[0]), tuple(job.params.pair), job.params.top)


run(main, snakemake)
