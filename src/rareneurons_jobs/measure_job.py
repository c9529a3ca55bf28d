"""What the scripts of the measures share: reading groups and evidence, writing what a measure returns."""

from typing import Any

import pandas as pd
from safetensors.numpy import load_file

from rareneurons.conventions import MEASURED
from rareneurons.evidence import Evidence, Measured, no_rows
from rareneurons.groups import CONTROLLED, ControlledGroups, controlled_groups, tracked_backwards
from rareneurons_jobs.job import checkpoint_name, read_array, write_arrays, write_parquet


def has_final(job: Any) -> bool:
    """Whether the job also gets the groups of the model's last checkpoint."""
    return "final_groups" in job.input.keys()  # noqa: SIM118  Snakemake's inputs are no dictionary


def own_groups(job: Any, without_types: bool = False) -> ControlledGroups:
    """The checkpoint's groups with their controls; ``without_types``: also those without neurons of known types."""
    names = CONTROLLED if without_types else MEASURED
    return controlled_groups(pd.read_parquet(job.input.groups), pd.read_parquet(job.input.controls), names)


def final_groups(job: Any) -> ControlledGroups:
    """The groups of the model's last checkpoint with their controls."""
    return controlled_groups(pd.read_parquet(job.input.final_groups), pd.read_parquet(job.input.final_controls))


def read_groups(job: Any, without_types: bool = False) -> ControlledGroups:
    """The groups of :func:`own_groups`, and the last checkpoint's top groups tracked backwards."""
    return {**own_groups(job, without_types), **(tracked_backwards(final_groups(job)) if has_final(job) else {})}


def read_evidence(job: Any, **more: Any) -> Evidence:
    """The evidence in the job's inputs (``rows``, ``trace``, ``last_layer``); ``more`` fills further fields."""
    given, read = dict(job.input.items()), dict[str, Any]()
    if "trace" in given:
        read["activation"] = read_array(given["trace"], "activation")
    if "last_layer" in given:
        read["last_layer"] = load_file(given["last_layer"])
    rows = pd.read_parquet(given["rows"]) if "rows" in given else no_rows()
    return Evidence(checkpoint_name(job), tuple(job.params.conditions), rows, **read, **more)


def write_measured(measured: Measured, job: Any) -> None:
    """Write the table, the draws where the rule has such an output, and each product that is an output by name."""
    write_parquet(measured.table, job.output.table)
    for name, file in job.output.items():
        if name == "draws":
            write_parquet(measured.draws, file)
        elif name in measured.products:
            product = measured.products[name]
            if isinstance(product, pd.DataFrame):
                write_parquet(product, file)
            else:
                write_arrays(product, file)
