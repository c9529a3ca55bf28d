"""Distances between a run's checkpoints, and those that are not what their names say."""

import pandas as pd
from figure_job import draw
from job import run

from rareneurons.figures.audit import checkpoint_distances


def main(job):
    draw(job, checkpoint_distances, pd.read_csv(job.input[0]))


run(main, snakemake)
