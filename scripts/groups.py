"""Name the neuron groups of a checkpoint from its discovery documents, and draw their controls."""

import pandas as pd

from rareneurons.conventions import MEASURED, WITHOUT_TYPES
from rareneurons.groups import (
    chosen_by_shuffled_labels,
    controlled_groups,
    groups_of_influence,
    match_quality,
    neuron_features,
)
from rareneurons.influence.label_shuffles import LabelShuffles
from rareneurons.known_types.declared import neurons_of_known_types
from rareneurons.rows import in_condition
from rareneurons.tables import measure_frame
from rareneurons_jobs.job import checkpoint_name, generator, read_array, read_arrays, run, write_parquet


def main(job):
    condition, name = job.params.condition, checkpoint_name(job)
    discovery = in_condition(pd.read_parquet(job.input.rows), condition, "discovery")
    features = neuron_features(
        read_array(job.input.trace, "activation")[discovery], read_array(job.input.last_layer, "output_weight")
    )
    groups, controls = groups_of_influence(
        pd.read_parquet(job.input.influence),
        condition,
        tuple(job.params.cuts),
        features,
        job.params.controls,
        generator(job, "groups"),
        LabelShuffles.from_arrays(read_arrays(job.input.label_shuffles)),
        neurons_of_known_types(pd.read_parquet(job.input.neurons)),
    )
    write_parquet(name.labelled(groups), job.output.groups)
    write_parquet(name.labelled(controls), job.output.controls)
    match = match_quality(condition, groups, controls, features)
    measured = controlled_groups(groups, controls, (*MEASURED, *WITHOUT_TYPES.values()))
    match += chosen_by_shuffled_labels(condition, measured)
    write_parquet(measure_frame(name, match), job.output.match)


run(main, snakemake)
