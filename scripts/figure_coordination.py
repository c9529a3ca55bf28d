"""Effective dimension of the plateau groups against random and matched groups, by training step."""

import pandas as pd
from figure_job import draw
from job import run

from rareneurons.figures.coordination import dimension_by_step
from rareneurons.groups import MEASURED


def main(job):
    draw(job, dimension_by_step, pd.read_csv(job.input[0]), MEASURED, job.params.condition, job.params.alpha)


run(main, snakemake)
