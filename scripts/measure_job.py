"""What the scripts of the measures share: reading groups and evidence, writing what a measure returns."""

import pandas as pd
from job import checkpoint_name, read_array, write_arrays, write_parquet
from safetensors.numpy import load_file

from rareneurons.conventions import MEASURED, WITHOUT_TYPES
from rareneurons.evidence import Evidence, Measured, no_rows
from rareneurons.groups import ControlledGroups, controlled_groups, tracked_backwards


def has_final(job) -> bool:
    """Whether the job also gets the groups of the model's last checkpoint."""
    return "final_groups" in job.input.keys()  # noqa: SIM118  Snakemake's inputs are no dictionary


def own_groups(job, without_types: bool = False) -> ControlledGroups:
    """The checkpoint's groups with their controls; ``without_types``: also those without neurons of known types."""
    names = (*MEASURED, *WITHOUT_TYPES.values()) if without_types else MEASURED
    return controlled_groups(pd.read_parquet(job.input.groups), pd.read_parquet(job.input.controls), names)


def final_groups(job) -> ControlledGroups:
    """The groups of the model's last checkpoint with their controls."""
    return controlled_groups(pd.read_parquet(job.input.final_groups), pd.read_parquet(job.input.final_controls))


def read_groups(job, without_types: bool = False) -> ControlledGroups:
    """The groups of :func:`own_groups`, and the last checkpoint's top groups tracked backwards."""
    return {**own_groups(job, without_types), **(tracked_backwards(final_groups(job)) if has_final(job) else {})}


def read_evidence(job, **more) -> Evidence:
    """The evidence in the job's inputs (``rows``, ``trace``, ``last_layer``); ``more`` fills further fields."""
    given = dict(job.input.items())
    return Evidence(
        checkpoint_name(job),
        tuple(job.params.conditions),
        pd.read_parquet(given["rows"]) if "rows" in given else no_rows(),
        **({"activation": read_array(given["trace"], "activation")} if "trace" in given else {}),
        **({"last_layer": load_file(given["last_layer"])} if "last_layer" in given else {}),
        **more,
    )


def write_measured(measured: Measured, job) -> None:
    """Write the table, the draws where the rule has such an output, and each product that is an output by name."""
    write_parquet(measured.table, job.output.table)
    for name, file in job.output.items():
        if name == "draws":
            write_parquet(measured.draws, file)
        elif name in measured.products:
            product = measured.products[name]
            (write_parquet if isinstance(product, pd.DataFrame) else write_arrays)(product, file)
