"""Where the neurons of each model's final head stood at every checkpoint, and when they came to stay."""

import pandas as pd
from job import run, write_csv

from rareneurons.dynamics.head import final_head
from rareneurons.groups import HEADS
from rareneurons.models.audit import training_part


def main(job):
    influence, groups = (
        pd.concat([pd.read_parquet(file) for file in files]) for files in (job.input.influence, job.input.groups)
    )
    influence = training_part(influence, pd.read_csv(job.input.audit))
    mine = influence[(influence["condition"] == job.params.condition) & (influence["split"] == "heldout")]
    write_csv(final_head(mine, groups, HEADS), job.output[0])


run(main, snakemake)
