"""The verdicts under choices that ought not to matter, beside the run's own."""

from pathlib import Path

import pandas as pd

from rareneurons.claims import Bounds, View
from rareneurons.comparison.choices import firmness_choices
from rareneurons.comparison.firmness import firmness_of_verdicts
from rareneurons_jobs.job import read_table, run, write_csv


def main(job):
    tables = {Path(file).stem: read_table(file) for file in job.input.tables}
    measured = pd.concat([pd.read_parquet(file) for file in job.input.measured], ignore_index=True)
    given, pair = job.params, tuple(job.params.pair)
    wanted = firmness_choices(given.firmness, given.reference, given.conditions, pair)
    write_csv(firmness_of_verdicts(tables, measured, wanted, View(*pair), Bounds(**given.bounds)), job.output[0])


run(main, snakemake)
