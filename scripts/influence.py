"""Effect of ablating every neuron of a checkpoint's last MLP, per condition and split, and each neuron's properties."""

import logging

import pandas as pd
import torch
from safetensors.numpy import load_file

from rareneurons.bands import read_counts
from rareneurons.influence.estimates import InfluenceSettings, checkpoint_influence
from rareneurons.influence.sums import blocked_arrays
from rareneurons.known_types.neurons import neuron_properties
from rareneurons.models.devices import device_of
from rareneurons.models.last_layer import LastLayer
from rareneurons_jobs.job import (
    checkpoint_name,
    generator,
    progress,
    progress_of,
    run,
    shared_generator,
    write_arrays,
    write_parquet,
)


def main(job):
    torch.set_num_threads(job.threads)
    given = dict(job.params.influence)
    blocks = given.pop("document_blocks")
    settings = InfluenceSettings(
        **given, shuffles=job.params.shuffles, device=device_of(job.params.device, float64=True)
    )
    trace = load_file(job.input.trace)
    layer = LastLayer.from_arrays(load_file(job.input.last_layer))
    if layer.no_closed_form is not None:
        logging.info("no closed form: %s; every pair runs again from the MLP's output projection", layer.no_closed_form)
    rows, name, rng = pd.read_parquet(job.input.rows), checkpoint_name(job), generator(job, "influence")
    layer, what = layer.to(settings.device, torch.float32), f"{job.wildcards.model}/{job.wildcards.checkpoint}"
    with progress_of(f"influence {what}", trace["activation"].size, "pairs") as advance:
        found = checkpoint_influence(
            name,
            layer,
            trace,
            rows,
            tuple(job.params.conditions),
            settings,
            rng,
            shared_generator(job, "influence"),
            lambda tile: advance(tile.values.numel()),
        )
    logging.info(
        "pairs: %d by the exact sum, %d by the cubic and %d by the quartic series, %d re-run from the final norm",
        found.pairs.exact,
        found.pairs.cubic,
        found.pairs.quartic,
        found.pairs.rerun,
    )
    neurons = neuron_properties(
        layer,
        trace,
        found.reference,
        rows,
        found.table,
        job.params.conditions[0],
        read_counts(job.input.counts),
        pd.read_parquet(job.input.frequencies)["token"].to_numpy(),
        rng,
        progress(f"properties of neurons {what}"),
    )
    write_parquet(found.table, job.output.table)
    write_parquet(name.labelled(neurons), job.output.neurons)
    write_arrays(blocked_arrays(found.by_document, blocks), job.output.by_document)
    write_arrays(found.shuffles.arrays(), job.output.label_shuffles)


run(main, snakemake)
