"""Rank-influence curves of each model's last checkpoint, with the band of curves without a plateau."""

from figure_job import draw, joined
from job import run

from rareneurons.figures.regimes import rank_influence


def main(job):
    influence = joined(job.input.influence)
    draw(
        job,
        rank_influence,
        influence[influence["split"] == "heldout"],
        joined(job.input.regimes),
        joined(job.input.bands),
        tuple(job.params.cuts),
        job.params.conditions,
    )


run(main, snakemake)
