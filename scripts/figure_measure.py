"""One measure of the plateau groups against training step."""

import pandas as pd
from figure_job import draw
from job import run

from rareneurons.figures import measure_by_step

GROUPS = ("plateau", "suppress_plateau")


def main(job):
    table = pd.read_csv(job.input[0])
    draw(job, measure_by_step, table, job.params.measure, job.params.label, GROUPS, job.params.condition)


run(main, snakemake)
