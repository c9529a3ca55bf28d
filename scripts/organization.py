"""Measure organization of each group of a checkpoint on held-out rows."""

import pandas as pd
from job import checkpoint_name, generator, read_array, run, write_parquet

from rareneurons.groups import measured_groups
from rareneurons.organization import group_organization
from rareneurons.rows import in_condition
from rareneurons.tables import measure_frame


def main(job):
    rows, rng = pd.read_parquet(job.input.rows), generator(job)
    activation = read_array(job.input.trace, "activation")
    groups = measured_groups(pd.read_parquet(job.input.groups), pd.read_parquet(job.input.controls))
    estimates = [
        (condition, group, estimate)
        for condition in job.params.conditions
        for group, estimate in group_organization(activation[in_condition(rows, condition, "heldout")], groups, rng)
    ]
    write_parquet(measure_frame(checkpoint_name(job), estimates), job.output[0])


run(main, snakemake)
