"""Exponent and head departure against training step, rare and common."""

import pandas as pd
from figure_job import draw
from job import run

from rareneurons.figures import regimes_by_step


def main(job):
    draw(job, regimes_by_step, pd.read_csv(job.input[0]))


run(main, snakemake)
