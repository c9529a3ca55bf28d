"""Plotly's own script, which all pages of neurons load."""

from plotly.offline import get_plotlyjs

from rareneurons_jobs.job import run, write_text


def main(job):
    write_text(get_plotlyjs(), job.output[0])


run(main, snakemake)
