"""Where the final head came from, and how fast the top neurons turn over."""

import pandas as pd
from figure_job import draw
from job import run

from rareneurons.figures.dynamics import final_top_and_turnover


def main(job):
    head, dynamics = pd.read_csv(job.input.head), pd.read_csv(job.input.dynamics)
    draw(job, final_top_and_turnover, head, dynamics, job.params.conditions, job.params.top)


run(main, snakemake)
