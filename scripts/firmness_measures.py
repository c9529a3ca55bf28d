"""The measures that verdicts use, computed again at a last checkpoint under choices that ought not to matter."""

import pandas as pd
import torch
from safetensors.numpy import load_file

from rareneurons.comparison.choices import firmness_choices
from rareneurons.comparison.firmness_measures import (
    FirmnessSettings,
    TracedCheckpoint,
    firmness_measures,
)
from rareneurons.coordination.estimates import CoordinationSettings
from rareneurons.influence.estimates import InfluenceSettings
from rareneurons.joint.estimates import JointSettings
from rareneurons.models.devices import device_of
from rareneurons.organization.settings import OrganizationSettings
from rareneurons.regimes.estimates import RegimeSettings
from rareneurons.tables import CheckpointName
from rareneurons_jobs.job import generator, progress_of, run, write_parquet


def settings_of(job):
    given, influence, joint = job.params, dict(job.params.influence), dict(job.params.joint)
    tuples = {name: tuple(given.regimes[name]) for name in ("cuts", "tops")}
    memory, blocks = int(influence["memory_gib"] * 2**30), influence.pop("document_blocks")
    bootstrap = joint.pop("bootstrap")
    return FirmnessSettings(
        InfluenceSettings(**influence, shuffles=given.groups["shuffles"]),
        blocks,
        RegimeSettings(**given.regimes | tuples),
        given.groups["controls"],
        JointSettings(**joint, device=device_of(given.device, float64=True), memory_bytes=memory),
        bootstrap,
        CoordinationSettings(),
        given.coordination["bootstrap"],
        OrganizationSettings(**given.organization),
        given.rows["discovery_share"],
    )


def traced(job, checkpoint, prefix=""):
    name = CheckpointName(job.wildcards.model, checkpoint)
    return TracedCheckpoint(name, *(load_file(job.input[prefix + file]) for file in ("trace", "last_layer")))


def main(job):
    torch.set_num_threads(job.threads)
    given, pair = job.params, tuple(job.params.pair)
    wanted = firmness_choices(given.firmness, given.influence["reference"], given.rows["conditions"], pair)
    untrained = traced(job, given.untrained, "untrained_") if given.untrained else None
    rows, last = pd.read_parquet(job.input.rows), traced(job, job.wildcards.checkpoint)
    possible = sum(not choice.why_not for choice in wanted)
    with progress_of(f"firmness {last.name.model}", possible, "choices") as advance:
        measured = firmness_measures(
            rows, last, untrained, pair, wanted, settings_of(job), generator(job, "firmness_measures"), advance
        )
    write_parquet(measured, job.output[0])


run(main, snakemake)
