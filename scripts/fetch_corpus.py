"""Download one file of a dataset repository at its pinned revision."""

import shutil

from huggingface_hub import hf_hub_download
from job import atomic, run


def main(job):
    entry = job.params.corpus
    cached = hf_hub_download(entry["repository"], entry["file"], repo_type="dataset", revision=entry["revision"])
    with atomic(job.output[0]) as partial:
        shutil.copyfile(cached, partial)


run(main, snakemake)
