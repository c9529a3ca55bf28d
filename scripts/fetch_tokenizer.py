"""Download a tokenizer's files."""

import shutil
from pathlib import Path

from huggingface_hub import snapshot_download

from rareneurons.model_folders.tokenizer_files import TOKENIZER_FILES
from rareneurons.models.hub import hub_errors
from rareneurons.tokens import open_tokenizer
from rareneurons_jobs.job import atomic, run


def main(job):
    repository, revision = job.params.repository, job.params.revision
    where = f"tokenizers[].repository: {repository} at {revision}"
    with atomic(job.output.folder) as partial:
        with hub_errors(where):
            snapshot_download(repository, revision=revision, allow_patterns=[*TOKENIZER_FILES], local_dir=partial)
            shutil.rmtree(Path(partial) / ".cache")
        open_tokenizer(partial, where)


run(main, snakemake)
