"""A page a model with its neurons at every checkpoint."""

from pathlib import Path

import pandas as pd
from job import run, write_text

from rareneurons.figures.palette import group_colour
from rareneurons.groups import FIXED_PREFIX, REGIMES, group_name
from rareneurons.regimes.curve import SIGNS
from rareneurons.report.neurons import neuron_frame, neuron_page

COLOURS = {
    name: group_colour(name)
    for prefix in ("", FIXED_PREFIX)
    for sign in SIGNS
    for regime in REGIMES
    for name in [prefix + group_name(sign, regime)]
}


def main(job):
    conditions = job.params.conditions
    pages = {Path(page).stem: Path(page).name for page in job.output}
    for page, (model, checkpoints) in zip(job.output, job.params.checkpoints.items(), strict=True):
        frames = {}
        for name, folder in checkpoints.items():
            influence = pd.read_parquet(
                f"{folder}/influence.parquet",
                filters=[("split", "==", "heldout"), ("condition", "in", conditions)],
            )
            tables = [pd.read_parquet(f"{folder}/{table}.parquet") for table in ("neurons", "groups")]
            frames[name] = neuron_frame(influence, *tables, conditions)
        types = pd.read_parquet(job.params.types[model], columns=["token", "text"])
        write_text(neuron_page(model, frames, types.set_index("token")["text"], conditions, COLOURS, pages), page)


run(main, snakemake)
