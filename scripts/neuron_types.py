"""Compare a checkpoint's groups with token-frequency and entropy neurons."""

import logging

import pandas as pd
import torch
from device import device_of
from job import checkpoint_name, progress, read_array, run, write_parquet
from safetensors.numpy import load_file

from rareneurons.bands import read_counts
from rareneurons.groups import measured_groups
from rareneurons.logit_lens import top_tokens
from rareneurons.models.last_layer import LastLayer
from rareneurons.neuron_types import frequency_effects, group_types, unigram_direction, weight_properties
from rareneurons.rows import in_condition
from rareneurons.tables import measure_frame


def main(job):
    torch.set_num_threads(job.threads)
    name, condition = checkpoint_name(job), job.params.condition
    layer = LastLayer.from_arrays(load_file(job.input.last_layer))
    rows, influence = pd.read_parquet(job.input.rows), pd.read_parquet(job.input.influence)
    heldout = in_condition(rows, condition, "heldout")
    if layer.no_closed_form is not None:
        logging.info("not computed: %s", layer.no_closed_form)
    direction = unigram_direction(read_counts(job.input.counts), len(layer.unembedding))
    properties = weight_properties(layer, direction)
    layer = layer.to(device_of(job.params.device, float64=True), torch.float32)
    properties["frequency_effect"] = frequency_effects(
        layer,
        read_array(job.input.trace, "residual")[heldout],
        read_array(job.input.trace, "activation")[heldout],
        read_array(job.input.trace, "mean_activation"),
        rows["target"].to_numpy()[heldout],
        direction,
        progress(f"neuron types {job.wildcards.model}/{job.wildcards.checkpoint}"),
    )
    mine = influence[(influence["condition"] == condition) & (influence["split"] == "heldout")].sort_values("neuron")
    properties["frequency_share"] = properties["frequency_effect"] / mine["mean_abs_delta_loss"].to_numpy()
    groups, drawn = pd.read_parquet(job.input.groups), pd.read_parquet(job.input.controls)
    controls = {kind: measured_groups(groups, drawn, kind) for kind in ("random", "matched")}
    estimates = [
        (condition, group, estimate)
        for group, (members, _) in controls["random"].items()
        for estimate in group_types(properties, members, {kind: found[group][1] for kind, found in controls.items()})
    ]
    types = pd.read_parquet(job.input.frequencies)["token"].to_numpy()
    for side, tokens in zip(("promoted", "suppressed"), top_tokens(layer, types), strict=True):
        properties[side] = list(tokens)
    properties.insert(0, "layer", mine["layer"].to_numpy())
    properties.insert(1, "neuron", mine["neuron"].to_numpy())
    write_parquet(name.labelled(properties), job.output.neurons)
    write_parquet(measure_frame(name, estimates), job.output.table)


run(main, snakemake)
