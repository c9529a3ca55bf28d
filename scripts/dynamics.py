"""Trend of every measure over training, the first step with a plateau, and turnover of the top neurons."""

import pandas as pd
from job import generator, run, write_csv

from rareneurons.dynamics.head import turnover
from rareneurons.dynamics.trends import first_plateau_steps, measure_trends


def main(job):
    tables = (pd.read_csv(file) for file in job.input.tables)
    draws = pd.concat([pd.read_parquet(file) for file in job.input.draws], ignore_index=True)
    influence = pd.concat([pd.read_parquet(file) for file in job.input.influence], ignore_index=True)
    found = [
        measure_trends(tables, draws, job.params.permutations, generator(job)),
        first_plateau_steps(pd.read_csv(job.input.regimes)),
        turnover(influence, job.params.top),
    ]
    write_csv(pd.concat([part for part in found if len(part)], ignore_index=True), job.output[0])


run(main, snakemake)
