"""History of each model's final top neurons: their rank at every checkpoint, and when each entered for good."""

import pandas as pd

from rareneurons.dynamics.top import final_top
from rareneurons.groups import TOP_GROUPS
from rareneurons.models.audit import training_part
from rareneurons_jobs.job import run, write_csv


def main(job):
    influence, groups = (
        pd.concat([pd.read_parquet(file) for file in files]) for files in (job.input.influence, job.input.groups)
    )
    influence = training_part(influence, pd.read_csv(job.input.audit))
    mine = influence[(influence["condition"] == job.params.condition) & (influence["split"] == "heldout")]
    write_csv(final_top(mine, groups, TOP_GROUPS), job.output[0])


run(main, snakemake)
