"""Name the neuron groups of a checkpoint from its discovery documents, and draw their controls."""

import pandas as pd

from rareneurons.groups import checkpoint_groups, neuron_features
from rareneurons.influence.label_shuffles import LabelShuffles
from rareneurons.known_types.declared import neurons_of_known_types
from rareneurons.rows import in_condition
from rareneurons_jobs.job import checkpoint_name, generator, read_array, read_arrays, run, write_parquet


def main(job):
    condition = job.params.condition
    discovery = in_condition(pd.read_parquet(job.input.rows), condition, "discovery")
    features = neuron_features(
        read_array(job.input.trace, "activation")[discovery], read_array(job.input.last_layer, "output_weight")
    )
    found = checkpoint_groups(
        checkpoint_name(job),
        pd.read_parquet(job.input.influence),
        condition,
        tuple(job.params.cuts),
        features,
        job.params.controls,
        generator(job, "groups"),
        LabelShuffles.from_arrays(read_arrays(job.input.label_shuffles)),
        neurons_of_known_types(pd.read_parquet(job.input.neurons)),
    )
    write_parquet(found.groups, job.output.groups)
    write_parquet(found.controls, job.output.controls)
    write_parquet(found.match, job.output.match)


run(main, snakemake)
