"""One table with the origin of every number of the run."""

import json
from pathlib import Path

import pandas as pd

from rareneurons.provenance import elbow_reasons, package_versions, provenance_frame, quantised_models
from rareneurons_jobs.job import run, write_csv


def main(job):
    checkpoints = [json.loads(Path(file).read_text(encoding="utf-8")) for file in job.input.checkpoints]
    settings = {"seed": job.params.seed, "device asked for": job.params.device} | package_versions()
    for file in map(Path, job.input.corpora):
        manifest = json.loads(file.read_text(encoding="utf-8"))
        settings[f"corpus {file.parent.name}"] = f"sha256 {manifest['sha256']}"
    settings |= elbow_reasons(pd.read_csv(job.input.conditions)) | quantised_models(checkpoints)
    write_csv(provenance_frame(settings, checkpoints, pd.read_csv(job.input.audit)), job.output[0])


run(main, snakemake)
