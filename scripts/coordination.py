"""Measure coordination of each group of a checkpoint on held-out rows."""

import pandas as pd
from job import checkpoint_name, generator, read_array, run, write_parquet

from rareneurons.coordination import group_coordination
from rareneurons.groups import measured_groups
from rareneurons.rows import in_condition
from rareneurons.tables import measure_frame


def main(job):
    rows, rng = pd.read_parquet(job.input.rows), generator(job)
    activation = read_array(job.input.trace, "activation")
    estimates = []
    for condition in job.params.conditions:
        here = in_condition(rows, condition, "heldout")
        for group, (members, controls) in measured_groups(
            pd.read_parquet(job.input.groups), pd.read_parquet(job.input.controls)
        ).items():
            found = group_coordination(
                activation[here], rows["document"].to_numpy()[here], members, controls, job.params.bootstrap, rng
            )
            estimates += [(condition, group, estimate) for estimate in found]
    write_parquet(measure_frame(checkpoint_name(job), estimates), job.output[0])


run(main, snakemake)
