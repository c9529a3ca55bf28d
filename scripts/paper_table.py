"""One of the paper's tables, from the run's own."""

from pkgutil import resolve_name

import pandas as pd
from job import run, write_csv


def main(job):
    paper_table = resolve_name(f"rareneurons.{job.params.function}")
    write_csv(paper_table(*(pd.read_csv(file) for file in job.input)), job.output[0])


run(main, snakemake)
