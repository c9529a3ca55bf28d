"""The known numbers of the paper, each with the most similar number of the run."""

from pathlib import Path

from rareneurons.comparison.paper import line_table, paper_comparison, paper_numbers, placed
from rareneurons.influence.sums import FIELDS, InfluenceSums
from rareneurons_jobs.job import generator, read_array, read_table, run, write_csv


def main(job):
    def sums_of(model, checkpoint, name):
        file = next(file for file in job.input.by_document if Path(file).parts[-3:-1] == (model, checkpoint))
        return InfluenceSums(*(read_array(file, f"{name}/{field}") for field in FIELDS))

    tables = {Path(file).stem: read_table(file) for file in job.input.tables}
    given = job.params
    numbers = placed(paper_numbers(), tables["regimes"], given.presets, tuple(given.pair))
    lines = line_table(numbers, sums_of, given.bootstrap, generator(job, "paper_comparison"))
    write_csv(paper_comparison(numbers, tables, lines), job.output[0])


run(main, snakemake)
