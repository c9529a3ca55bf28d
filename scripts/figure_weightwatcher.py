"""WeightWatcher's alpha of every matrix against training step."""

import pandas as pd
from figure_job import draw
from job import run

from rareneurons.figures.spectra import weightwatcher_map


def main(job):
    draw(job, weightwatcher_map, pd.read_csv(job.input[0]), "alpha", "alpha")


run(main, snakemake)
