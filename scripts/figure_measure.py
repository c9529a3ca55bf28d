"""One measure of the plateau groups against training step."""

import pandas as pd
from figure_job import draw
from job import run

from rareneurons.figures.measures import measure_by_step
from rareneurons.groups import MEASURED


def main(job):
    table = pd.read_csv(job.input[0])
    draw(job, measure_by_step, table, job.params.measure, job.params.label, MEASURED, job.params.condition)


run(main, snakemake)
