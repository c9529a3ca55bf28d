"""Trend of every measure over training."""

import pandas as pd
from job import generator, run, write_csv

from rareneurons.dynamics import measure_trends


def main(job):
    tables = (pd.read_csv(file) for file in job.input)
    write_csv(measure_trends(tables, job.params.permutations, generator(job)), job.output[0])


run(main, snakemake)
