"""The page of a model's neurons at every checkpoint, with the scripts that it loads."""

from pathlib import Path

import pandas as pd

from rareneurons.figures.palette import group_colour
from rareneurons.groups import FIXED_PREFIX, REGIMES, group_name
from rareneurons.regimes.curve import SIGNS
from rareneurons.report.examples import EXAMPLES, examples_script
from rareneurons.report.neurons import DescribedNeurons, NeuronPage, neuron_frame
from rareneurons_jobs.job import atomic, run, write_text

COLOURS = {
    name: group_colour(name)
    for prefix in ("", FIXED_PREFIX)
    for sign in SIGNS
    for regime in REGIMES
    for name in [prefix + group_name(sign, regime)]
}


def frame(influence, neurons, groups, conditions):
    """The neurons of one checkpoint, on held-out rows."""
    filters = [("split", "==", "heldout"), ("condition", "in", conditions)]
    tables = [pd.read_parquet(file) for file in (neurons, groups)]
    return neuron_frame(pd.read_parquet(influence, filters=filters), *tables, conditions)


def main(job):
    given, conditions = job.input, job.params.conditions
    page = NeuronPage(job.wildcards.model, conditions, Path(job.output.scripts).name)
    last, examples = Path(given.examples).parent.name, pd.read_parquet(given.examples)
    with atomic(job.output.scripts) as folder:
        for together in zip(given.influence, given.neurons, given.groups, strict=True):
            checkpoint = Path(together[0]).parent.name
            write_text(page.add(checkpoint, frame(*together, conditions)), f"{folder}/{checkpoint}.js")
        write_text(examples_script(last, examples, pd.read_parquet(given.tokens)), f"{folder}/{EXAMPLES}.js")
    text = pd.read_parquet(given.types, columns=["token", "text"]).set_index("token")["text"]
    described = DescribedNeurons.of(last, pd.read_parquet(given.last_groups), examples)
    write_text(page.html(text, COLOURS, job.params.pages, described), job.output.page)


run(main, snakemake)
