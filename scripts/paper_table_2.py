"""The paper's Table 2: spectra of the groups' weights at each model's last checkpoint, and their trends."""

import pandas as pd
from job import run, write_csv

from rareneurons.spectra.paper_table import paper_table


def main(job):
    write_csv(paper_table(pd.read_csv(job.input.spectra), pd.read_csv(job.input.dynamics)), job.output[0])


run(main, snakemake)
