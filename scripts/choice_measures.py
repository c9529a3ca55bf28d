"""The measures that verdicts use, computed again for a checkpoint under each of the authors' choices."""

import pandas as pd
from safetensors.numpy import load_file

from rareneurons.comparison.choice_measures import ChoiceSettings, Selection, choice_measures
from rareneurons.comparison.choices import input_condition
from rareneurons.coordination.estimates import CoordinationSettings
from rareneurons.evidence import Evidence
from rareneurons.influence.sums import sums_of_arrays
from rareneurons.organization.settings import OrganizationSettings
from rareneurons.regimes.estimates import RegimeSettings
from rareneurons_jobs.job import checkpoint_name, generator, read_array, run, write_parquet


def main(job):
    given = job.params
    tuples = {name: tuple(given.regimes[name]) for name in ("cuts", "tops")}
    settings = ChoiceSettings(
        input_condition(given.conditions),
        RegimeSettings(**given.regimes | tuples),
        given.controls,
        given.bootstrap,
        CoordinationSettings(),
        OrganizationSettings(**given.organization),
    )
    evidence = Evidence(
        checkpoint_name(job),
        tuple(given.pair),
        pd.read_parquet(job.input.rows),
        read_array(job.input.trace, "activation"),
        {"output_weight": read_array(job.input.last_layer, "output_weight")},
        sums_of_arrays(load_file(job.input.by_document)),
    )
    selection = Selection(*(pd.read_parquet(job.input[name]) for name in ("influence", "groups", "controls")))
    write_parquet(choice_measures(evidence, selection, settings, generator(job, "choice_measures")), job.output[0])


run(main, snakemake)
