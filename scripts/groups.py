"""Name the neuron groups of a checkpoint from its discovery documents, and draw controls."""

import pandas as pd
from job import checkpoint_name, generator, run, write_parquet

from rareneurons.groups import groups_of_influence


def main(job):
    groups = groups_of_influence(
        pd.read_parquet(job.input.influence),
        job.params.condition,
        tuple(job.params.cuts),
        job.params.controls,
        generator(job),
    )
    write_parquet(checkpoint_name(job).labelled(groups), job.output[0])


run(main, snakemake)
