"""Draw one figure of the registry, as PDF and PNG."""

from pathlib import Path
from pkgutil import resolve_name

import numpy as np
import pandas as pd
from safetensors.numpy import load_file

from rareneurons.figures import style
from rareneurons.tables import last_checkpoints
from rareneurons_jobs.job import atomic, read_table, run

SELECTED = {
    "all": lambda table: table,
    "heldout": lambda table: table[table["split"] == "heldout"],
    "last checkpoints": last_checkpoints,
}


def read(files):
    """What files of one kind hold: tables under one another, model -> arrays, or the array of one file."""
    kind = Path(files[0]).suffix
    if kind == ".npy":
        return np.load(files[0])
    if kind == ".safetensors":  # <model>/<checkpoint>/<file>
        return {Path(file).parts[-3]: load_file(file) for file in files}
    read_one = read_table if kind == ".csv" else pd.read_parquet
    return pd.concat([read_one(file) for file in files], ignore_index=True)


def main(job):
    tables = {name: SELECTED[job.params.rows[name]](read(files)) for name, files in job.input.items()}
    style.apply_style()
    figure = resolve_name(f"rareneurons.figures.{job.params.function}")(**tables, **job.params.settings)
    for suffix, file in job.output.items():
        with atomic(file) as partial:
            style.save(figure, partial, suffix)


run(main, snakemake)
