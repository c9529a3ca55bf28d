"""Effect of ablating every neuron of a checkpoint's last MLP, per condition and split, and each neuron's properties."""

import logging

import pandas as pd
import torch
from safetensors.numpy import load_file

from rareneurons.bands import read_counts
from rareneurons.influence import last_mlp, sums
from rareneurons.influence.label_shuffles import EffectsAtRows, label_shuffles
from rareneurons.known_types.neurons import neuron_properties
from rareneurons.models.last_layer import LastLayer
from rareneurons.rows import condition_split_masks, labels_of
from rareneurons_jobs.device import device_of
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
    settings = job.params.influence
    trace = load_file(job.input.trace)
    rows = pd.read_parquet(job.input.rows)
    document = rows["document"].to_numpy()
    layer = LastLayer.from_arrays(load_file(job.input.last_layer))
    if layer.no_closed_form is not None:
        logging.info("no closed form: %s; every pair runs again from the MLP's output projection", layer.no_closed_form)
    labels = labels_of(rows, job.params.conditions)
    chosen_on = labels.any(1) & (rows["split"] == "discovery").to_numpy()
    at_rows = EffectsAtRows(chosen_on, trace["activation"].shape[1])
    rng, device = generator(job, "influence"), device_of(job.params.device, float64=True)
    reference = last_mlp.reference_values(trace, settings["reference"], document, rng)
    layer, what = layer.to(device, torch.float32), f"{job.wildcards.model}/{job.wildcards.checkpoint}"
    with progress_of(f"influence {what}", trace["activation"].size, "pairs") as advance:

        def done(tile):
            at_rows.add(tile)
            advance(tile.values.numel())

        by_document, pairs = last_mlp.influence_by_document(
            layer,
            trace,
            reference,
            rows["target"].to_numpy(),
            document,
            condition_split_masks(rows),
            done,
            effect=settings["effect"],
            tolerance=settings["tolerance"],
            memory_bytes=int(settings["memory_gib"] * 2**30),
        )
    logging.info(
        "pairs: %d by the exact sum, %d by the cubic and %d by the quartic series, %d re-run from the final norm",
        pairs.exact,
        pairs.cubic,
        pairs.quartic,
        pairs.rerun,
    )
    table = sums.influence_frame(checkpoint_name(job), int(trace["layer"][0]), by_document)
    write_parquet(sums.with_experts(table, layer.expert), job.output.table)
    neurons = neuron_properties(
        layer,
        trace,
        reference,
        rows,
        table,
        job.params.conditions[0],
        read_counts(job.input.counts),
        pd.read_parquet(job.input.frequencies)["token"].to_numpy(),
        rng,
        progress(f"properties of neurons {what}"),
    )
    write_parquet(checkpoint_name(job).labelled(neurons), job.output.neurons)
    write_arrays(sums.blocked_arrays(by_document, settings["document_blocks"]), job.output.by_document)
    shuffles = label_shuffles(
        at_rows.values, document[chosen_on], labels[chosen_on], job.params.shuffles, shared_generator(job, "influence")
    )
    write_arrays(shuffles.arrays(), job.output.label_shuffles)


run(main, snakemake)
