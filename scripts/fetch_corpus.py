"""Download one file of a dataset repository at its pinned revision."""

import os
from pathlib import Path

from huggingface_hub import hf_hub_download

from rareneurons.models.hub import hub_errors
from rareneurons_jobs.job import atomic, run


def main(job):
    entry = job.params.corpus
    with atomic(f"{job.output[0]}.download") as folder, hub_errors(f"corpora[].file: {entry['file']}"):
        file = hf_hub_download(
            entry["repository"], entry["file"], repo_type="dataset", revision=entry["revision"], local_dir=folder
        )
        os.replace(Path(file), job.output[0])


run(main, snakemake)
