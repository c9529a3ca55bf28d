"""Signed modularity of the plateau groups against training step, with its three nulls."""

import pandas as pd
from figure_job import draw
from job import run

from rareneurons.figures.organization import modularity_by_step
from rareneurons.groups import MEASURED


def main(job):
    draw(job, modularity_by_step, pd.read_csv(job.input[0]), MEASURED, job.params.condition)


run(main, snakemake)
