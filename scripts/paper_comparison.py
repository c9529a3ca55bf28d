"""The numbers known of the paper, each beside the run's nearest one."""

from pathlib import Path

import pandas as pd
from job import generator, read_array, read_table, run, write_csv

from rareneurons.comparison.paper import line_table, paper_comparison, placed
from rareneurons.influence.sums import FIELDS, InfluenceSums


def main(job):
    def sums_of(model, checkpoint, name):
        file = next(file for file in job.input.by_document if Path(file).parts[-3:-1] == (model, checkpoint))
        return InfluenceSums(*(read_array(file, f"{name}/{field}") for field in FIELDS))

    tables = {Path(file).stem: read_table(file) for file in job.input.tables}
    given = job.params
    numbers = placed(pd.read_csv(job.input.numbers), tables["regimes"], given.presets, tuple(given.pair))
    lines = line_table(numbers, sums_of, given.bootstrap, generator(job))
    write_csv(paper_comparison(numbers, tables, lines), job.output[0])


run(main, snakemake)
