"""Put the tables of all checkpoints under one another."""

import pandas as pd

from rareneurons_jobs.job import run, write_csv


def main(job):
    write_csv(pd.concat([pd.read_parquet(file) for file in job.input], ignore_index=True), job.output[0])


run(main, snakemake)
