"""Hill's exponent over the number of eigenvalues in the tail."""

from figure_job import draw, joined
from job import run

from rareneurons.figures.spectra import hill_plots


def main(job):
    draw(job, hill_plots, joined(job.input))


run(main, snakemake)
