"""Rank-influence curves of all checkpoints."""

import pandas as pd
from figure_job import draw
from job import run

from rareneurons.figures import rank_influence_by_checkpoint


def main(job):
    influence = pd.concat([pd.read_parquet(file) for file in job.input])
    draw(job, rank_influence_by_checkpoint, influence[influence["split"] == "heldout"])


run(main, snakemake)
