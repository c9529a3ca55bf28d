"""What the verdicts read of a checkpoint, measured anew under each of the authors' choices."""

import pandas as pd
from job import checkpoint_name, generator, read_array, run, write_parquet
from safetensors.numpy import load_file

from rareneurons.comparison.choice_measures import Evidence, Settings, choice_measures
from rareneurons.comparison.choices import input_condition
from rareneurons.influence.sums import sums_of_arrays
from rareneurons.organization.group import Effort
from rareneurons.regimes.estimates import RegimeSettings
from rareneurons.rows import condition_split_masks


def main(job):
    given, rows = job.params, pd.read_parquet(job.input.rows)
    tuples = {name: tuple(given.regimes[name]) for name in ("cuts", "tops")}
    settings = Settings(
        tuple(given.pair),
        input_condition(given.conditions),
        RegimeSettings(**given.regimes | tuples),
        given.controls,
        given.bootstrap,
        Effort(**given.organization),
    )
    evidence = Evidence(
        read_array(job.input.trace, "activation"),
        rows["document"].to_numpy(),
        condition_split_masks(rows),
        sums_of_arrays(load_file(job.input.by_document)),
        pd.read_parquet(job.input.influence),
        pd.read_parquet(job.input.groups),
        pd.read_parquet(job.input.controls),
        read_array(job.input.last_layer, "output_weight"),
    )
    write_parquet(choice_measures(checkpoint_name(job), evidence, settings, generator(job)), job.output[0])


run(main, snakemake)
