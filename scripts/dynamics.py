"""Trend of every measure over training, first plateau, turnover, and joint effects beyond the untrained model."""

from pathlib import Path

import pandas as pd

from rareneurons.dynamics.top import turnover
from rareneurons.dynamics.trends import first_plateau_steps, measure_trends
from rareneurons.dynamics.untrained import beyond_untrained
from rareneurons.models.audit import training_part
from rareneurons_jobs.job import generator, read_table, run, write_csv


def main(job):
    audit = pd.read_csv(job.input.audit)
    tables = {Path(file).stem: training_part(read_table(file), audit) for file in job.input.tables}
    draws, influence = (
        training_part(pd.concat([pd.read_parquet(file) for file in files], ignore_index=True), audit)
        for files in (job.input.draws, job.input.influence)
    )
    found = [
        measure_trends(tables.values(), draws, job.params.permutations, generator(job, "dynamics")),
        first_plateau_steps(training_part(read_table(job.input.regimes), audit)),
        turnover(influence, job.params.top),
        beyond_untrained(tables["joint"], draws),
    ]
    # Without a checkpoint that has a step, all parts are empty: the table keeps its columns.
    write_csv(pd.concat([part for part in found if len(part)] or found[:1], ignore_index=True), job.output[0])


run(main, snakemake)
