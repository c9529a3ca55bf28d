"""The paper's Table 1: coordination of the groups at each model's last checkpoint."""

import pandas as pd
from job import run, write_csv

from rareneurons.coordination.estimates import paper_table


def main(job):
    write_csv(paper_table(pd.read_csv(job.input[0])), job.output[0])


run(main, snakemake)
