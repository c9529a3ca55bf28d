"""What the regimes are under each meaning of rare, at each model's last checkpoint."""

import pandas as pd
from figure_job import draw
from job import run

from rareneurons.figures.regimes import threshold_sweep
from rareneurons.tables import last_checkpoints


def main(job):
    regimes = last_checkpoints(pd.read_csv(job.input[0]))
    draw(job, threshold_sweep, regimes, job.params.conditions, job.params.flatness)


run(main, snakemake)
