"""Download a tokenizer's files."""

import shutil
from pathlib import Path

from huggingface_hub import snapshot_download
from job import atomic, run

from rareneurons.models.hub import hub_errors

FILES = ["tokenizer*", "vocab*", "merges.txt", "special_tokens_map.json", "config.json"]


def main(job):
    repository, revision = job.params.repository, job.params.revision
    with atomic(job.output.folder) as partial, hub_errors(f"tokenizers[].repository: {repository} at {revision}"):
        snapshot_download(repository, revision=revision, allow_patterns=FILES, local_dir=partial)
        shutil.rmtree(Path(partial) / ".cache")


run(main, snakemake)
