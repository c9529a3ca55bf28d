"""Rank-influence curves of all checkpoints."""

from figure_job import draw, joined
from job import run

from rareneurons.figures.regimes import rank_influence_by_checkpoint


def main(job):
    influence = joined(job.input)
    draw(job, rank_influence_by_checkpoint, influence[influence["split"] == "heldout"], job.params.conditions)


run(main, snakemake)
