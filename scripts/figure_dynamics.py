"""Where the final head came from, and how fast the top neurons turn over."""

import pandas as pd
from figure_job import draw, joined
from job import run

from rareneurons.dynamics import ranks_of_final_group
from rareneurons.figures.dynamics import final_head_and_turnover
from rareneurons.groups import MEASURED


def main(job):
    influence = joined(job.input.influence)
    mine = influence[(influence["condition"] == job.params.conditions[0]) & (influence["split"] == "heldout")]
    ranks = ranks_of_final_group(mine, joined(job.input.groups), MEASURED)
    draw(job, final_head_and_turnover, ranks, pd.read_csv(job.input.dynamics), job.params.conditions, job.params.top)


run(main, snakemake)
