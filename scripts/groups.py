"""Name the neuron groups of a checkpoint from its discovery documents, and draw random and matched controls."""

import pandas as pd
from job import checkpoint_name, generator, read_array, run, write_parquet

from rareneurons.groups import groups_of_influence, match_quality, neuron_features
from rareneurons.rows import in_condition
from rareneurons.tables import measure_frame


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
        generator(job),
    )
    write_parquet(name.labelled(groups), job.output.groups)
    write_parquet(name.labelled(controls), job.output.controls)
    write_parquet(measure_frame(name, match_quality(condition, groups, controls, features)), job.output.match)


run(main, snakemake)
