"""One of the paper's tables, from the run's own."""

from pkgutil import resolve_name

from rareneurons_jobs.job import read_table, run, write_csv


def main(job):
    paper_table = resolve_name(f"rareneurons.{job.params.function}")
    write_csv(paper_table(*(read_table(file) for file in job.input)), job.output[0])


run(main, snakemake)
