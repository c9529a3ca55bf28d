"""Measure coordination of each group of a checkpoint on held-out rows, and of its output weights."""

import pandas as pd
from job import checkpoint_name, generator, read_array, run, write_parquet

from rareneurons.coordination.estimates import activation_coordination, weight_coordination
from rareneurons.groups import controlled_groups
from rareneurons.rows import in_condition
from rareneurons.stats import frame_of_tests


def main(job):
    rows, rng = pd.read_parquet(job.input.rows), generator(job)
    frame = pd.read_parquet(job.input.groups)
    groups = controlled_groups(frame, pd.read_parquet(job.input.controls))
    activation, document = read_array(job.input.trace, "activation"), rows["document"].to_numpy()
    weights = read_array(job.input.last_layer, "output_weight")
    estimates = [
        (condition, group, estimate)
        for condition in job.params.conditions
        for here in [in_condition(rows, condition, "heldout")]
        for group, estimate in activation_coordination(
            activation[here], document[here], groups, job.params.bootstrap, rng
        )
    ]
    # Weights know no rows: they stand with the condition that the neurons were chosen on.
    estimates += [(frame["condition"].iloc[0], group, each) for group, each in weight_coordination(weights, groups)]
    write_parquet(frame_of_tests(checkpoint_name(job), estimates), job.output[0])


run(main, snakemake)
