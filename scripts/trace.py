"""One forward pass over the evaluation blocks of a checkpoint."""

import json
from pathlib import Path

import pandas as pd
import torch

from rareneurons.models.spread import computing_devices
from rareneurons.provenance import device_name
from rareneurons.trace import trace_rows
from rareneurons_jobs.checkpoint_job import open_job_checkpoint, read_blocks, smaller_batch_if_needed
from rareneurons_jobs.job import progress, run, write_arrays, write_json


def main(job):
    architecture = open_job_checkpoint(job)
    blocks, rows = read_blocks(job.input.blocks), pd.read_parquet(job.input.rows)
    said = progress(f"trace {job.wildcards.model}/{job.wildcards.checkpoint}")
    trace = smaller_batch_if_needed(
        lambda batch_size: trace_rows(architecture, blocks, rows, batch_size, said),
        job.params.batch_size,
        "trace.batch_size",
    )
    write_arrays(vars(trace), job.output.trace)
    device = ", ".join(map(device_name, computing_devices(architecture.model)))
    layer = architecture.last_layer().to("cpu", torch.float32)
    write_arrays(layer.arrays(), job.output.last_layer)
    origin = Path(job.params.folder) / "origin.json"  # beside weights that were fetched from the hub
    fetched = json.loads(origin.read_text(encoding="utf-8")) if origin.exists() else {}
    names = {"model": job.wildcards.model, "checkpoint": job.wildcards.checkpoint}
    shown = {key: value for key, value in fetched.items() if key != "sha256"}
    write_json(names | shown | {"device": device, "precision": "float32"}, job.output.provenance)


run(main, snakemake)
