"""A verdict per claim and model, and over models."""

from pathlib import Path

from rareneurons.claims import Bounds, View, claims_markdown, decide
from rareneurons_jobs.job import read_table, run, write_csv, write_text


def main(job):
    tables = {Path(file).stem: read_table(file) for file in job.input}
    firmness = tables.pop("firmness", None)
    claims = decide(tables, View(*job.params.pair), Bounds(**job.params.bounds), replicate_of=job.params.replicate_of)
    write_csv(claims, job.output.csv)
    write_text(claims_markdown(claims, firmness), job.output.markdown)


run(main, snakemake)
