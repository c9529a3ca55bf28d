"""Effective dimension of the plateau groups and their controls against the number of rows."""

import pandas as pd
from figure_job import draw
from job import run

from rareneurons.figures.coordination import dimension_by_rows
from rareneurons.groups import MEASURED


def main(job):
    draw(job, dimension_by_rows, pd.read_csv(job.input[0]), MEASURED, job.params.condition)


run(main, snakemake)
