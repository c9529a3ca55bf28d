"""Rank-influence curves of each model's last checkpoint."""

import pandas as pd
from figure_job import draw
from job import run

from rareneurons.figures import rank_influence


def main(job):
    influence = pd.concat([pd.read_parquet(file) for file in job.input])
    draw(job, rank_influence, influence[influence["split"] == "heldout"], tuple(job.params.cuts))


run(main, snakemake)
