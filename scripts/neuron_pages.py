"""A page a model with its neurons at every checkpoint."""

from collections import defaultdict
from pathlib import Path

import pandas as pd

from rareneurons.figures.palette import group_colour
from rareneurons.groups import FIXED_PREFIX, REGIMES, group_name
from rareneurons.regimes.curve import SIGNS
from rareneurons.report.neurons import neuron_frame, neuron_page
from rareneurons_jobs.job import run, write_text

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
    files = defaultdict(dict)  # model -> checkpoint -> files
    for together in zip(given.influence, given.neurons, given.groups, strict=True):
        *_, model, checkpoint, _ = Path(together[0]).parts
        files[model][checkpoint] = together
    pages = {Path(page).stem: Path(page).name for page in job.output}
    for page, model, types in zip(job.output, job.params.models, given.types, strict=True):
        frames = {checkpoint: frame(*together, conditions) for checkpoint, together in files[model].items()}
        text = pd.read_parquet(types, columns=["token", "text"]).set_index("token")["text"]
        write_text(neuron_page(model, frames, text, conditions, COLOURS, pages), page)


run(main, snakemake)
