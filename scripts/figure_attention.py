"""Effect of each head on the plateau neurons at each model's last checkpoint."""

import pandas as pd
from figure_job import draw
from job import run

from rareneurons.figures.attention import head_map
from rareneurons.groups import MEASURED
from rareneurons.tables import last_checkpoints


def main(job):
    draw(job, head_map, last_checkpoints(pd.read_csv(job.input[0])), MEASURED)


run(main, snakemake)
