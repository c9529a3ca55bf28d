"""Joint ablation of each group of a checkpoint, and the clean loss by token frequency, on held-out rows."""

import pandas as pd
import torch
from safetensors.numpy import load_file

from rareneurons.influence.last_mlp import reference_values
from rareneurons.joint.estimates import JointSettings, curve_of_doses, joint_estimates, joint_evidence
from rareneurons.models.devices import device_of
from rareneurons_jobs.job import generator, progress, run, shared_generator
from rareneurons_jobs.measure_job import read_evidence, read_groups, write_measured


def main(job):
    torch.set_num_threads(job.threads)
    rng, settings = generator(job, "joint"), dict(job.params.joint)
    base, trace, groups = read_evidence(job), load_file(job.input.trace), read_groups(job, without_types=True)
    evidence = joint_evidence(
        base,
        trace,
        reference_values(trace, job.params.influence["reference"], base.rows["document"].to_numpy(), rng),
        pd.read_parquet(job.input.frequencies),
        curve_of_doses(groups, pd.read_parquet(job.input.influence), job.params.conditions[0]),
        settings.pop("bootstrap"),
        shared_generator(job, "joint"),
    )
    settings = JointSettings(
        **settings,
        tolerance=job.params.influence["tolerance"],
        device=device_of(job.params.device, float64=True),
        memory_bytes=int(job.params.influence["memory_gib"] * 2**30),
        progress=progress(f"joint ablation {job.wildcards.model}/{job.wildcards.checkpoint}"),
    )
    write_measured(joint_estimates(evidence, groups, settings, rng), job)


run(main, snakemake)
