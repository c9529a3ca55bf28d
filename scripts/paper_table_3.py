"""Organization of each group at each model's last checkpoint, beside its nulls."""

import pandas as pd
from job import run, write_csv

from rareneurons.organization.paper_table import paper_table


def main(job):
    write_csv(paper_table(pd.read_csv(job.input[0])), job.output[0])


run(main, snakemake)
