"""Measure organization of each group of a checkpoint on held-out rows, and in its weights."""

import pandas as pd
from job import checkpoint_name, generator, read_array, run, write_arrays, write_parquet

from rareneurons.conventions import MEASURED
from rareneurons.groups import measured_groups, members_by_group
from rareneurons.organization.group import (
    Effort,
    LayerActivations,
    community_pictures,
    group_organization,
    group_places,
    organization_frame,
)
from rareneurons.rows import in_condition


def main(job):
    rows, rng, effort = pd.read_parquet(job.input.rows), generator(job), Effort(**job.params.effort)
    activation = read_array(job.input.trace, "activation")
    output_weight = read_array(job.input.last_layer, "output_weight")
    frame, drawn = pd.read_parquet(job.input.groups), pd.read_parquet(job.input.controls)
    controls = {kind: measured_groups(frame, drawn, kind) for kind in ("random", "matched")}
    members = {name: neurons for name, neurons in members_by_group(frame).items() if name in MEASURED}
    # Groups too small for controls are reported too, with the reason.
    nulls = {
        name: {kind: found[name][1] if name in found else [] for kind, found in controls.items()} for name in members
    }
    chosen_on = frame["condition"].iloc[0]
    found, pictures = [], {}
    for condition in job.params.conditions:
        heldout = in_condition(rows, condition, "heldout")
        layer = LayerActivations(
            activation[heldout],
            rows["document"].to_numpy()[heldout],
            activation[in_condition(rows, condition, "discovery")],
        )
        for name, neurons in members.items():
            findings = group_organization(layer, neurons, nulls[name], effort, rng)
            found += [(condition, name, finding) for finding in findings]
        if condition == chosen_on:
            pictures = community_pictures(layer, controls["matched"], effort, rng)
    for name, neurons in members.items():
        findings = group_places(output_weight, neurons, nulls[name], effort, rng)
        found += [(chosen_on, name, finding) for finding in findings]
    write_arrays(pictures, job.output.pictures)
    write_parquet(organization_frame(checkpoint_name(job), found), job.output.table)


run(main, snakemake)
