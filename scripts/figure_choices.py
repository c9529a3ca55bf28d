"""Verdicts and values under each of the authors' choices."""

import pandas as pd
from figure_job import draw
from job import run

from rareneurons.figures.comparison import effects_of_choices


def main(job):
    draw(job, effects_of_choices, pd.read_csv(job.input[0]))


run(main, snakemake)
