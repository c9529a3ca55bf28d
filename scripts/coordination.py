"""Measure coordination of each group of a checkpoint on held-out rows, and of its output weights."""

import pandas as pd
from job import checkpoint_name, generator, read_array, run, shared_generator, write_parquet

from rareneurons.coordination.estimates import activation_coordination, weight_coordination
from rareneurons.groups import controlled_groups, followed_back
from rareneurons.rows import in_condition
from rareneurons.stats import document_weights, frame_of_tests
from rareneurons.tables import draws_frame


def main(job):
    rows, rng, shared = pd.read_parquet(job.input.rows), generator(job), shared_generator(job)
    frame = pd.read_parquet(job.input.groups)
    groups = controlled_groups(frame, pd.read_parquet(job.input.controls))
    if "final_groups" in job.input.keys():  # noqa: SIM118  Snakemake's inputs are no dictionary
        final = pd.read_parquet(job.input.final_groups), pd.read_parquet(job.input.final_controls)
        groups |= followed_back(controlled_groups(*final))
    activation, document = read_array(job.input.trace, "activation"), rows["document"].to_numpy()
    weights = read_array(job.input.last_layer, "output_weight")
    estimates, draws = [], []
    for condition in job.params.conditions:
        here = in_condition(rows, condition, "heldout")
        drawn = document_weights(len(set(document[here])), job.params.bootstrap, shared)
        found, by_measure = activation_coordination(activation[here], document[here], groups, drawn, rng)
        estimates += [(condition, *each) for each in found]
        draws += [(condition, *each) for each in by_measure]
    # Weights know no rows: they stand with the condition that the neurons were chosen on.
    estimates += [(frame["condition"].iloc[0], *each) for each in weight_coordination(weights, groups)]
    name = checkpoint_name(job)
    write_parquet(frame_of_tests(name, estimates), job.output.table)
    write_parquet(name.labelled(draws_frame(draws)), job.output.draws)


run(main, snakemake)
