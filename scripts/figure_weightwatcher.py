"""WeightWatcher's numbers of every matrix against training step."""

import pandas as pd
from figure_job import draw
from job import run

from rareneurons.figures.spectra import weightwatcher_map


def main(job):
    draw(job, weightwatcher_map, pd.read_csv(job.input[0]), job.params.columns)


run(main, snakemake)
