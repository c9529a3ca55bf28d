"""Name the neuron groups of a checkpoint from its discovery documents, and draw their controls."""

import pandas as pd
from job import checkpoint_name, generator, read_array, read_arrays, run, write_parquet

from rareneurons.groups import checkpoint_groups, neuron_features
from rareneurons.influence.label_shuffles import LabelShuffles
from rareneurons.rows import in_condition


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
        generator(job),
        LabelShuffles.from_arrays(read_arrays(job.input.label_shuffles)),
    )
    write_parquet(found.groups, job.output.groups)
    write_parquet(found.controls, job.output.controls)
    write_parquet(found.match, job.output.match)


run(main, snakemake)
