"""Fitted exponent, flatness, plateau end and the plateau test against training step."""

import pandas as pd
from figure_job import draw
from job import run

from rareneurons.figures.regimes import regimes_by_step


def main(job):
    draw(job, regimes_by_step, pd.read_csv(job.input[0]), job.params.flatness, job.params.alpha, job.params.conditions)


run(main, snakemake)
