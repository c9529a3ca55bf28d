"""The paper's Table 2: spectra of the groups' weights at each model's last checkpoint, and their trends."""

from job import read_table, run, write_csv

from rareneurons.spectra.paper_table import paper_table


def main(job):
    write_csv(paper_table(read_table(job.input.spectra), read_table(job.input.dynamics)), job.output[0])


run(main, snakemake)
