"""Download a tokenizer's files."""

from huggingface_hub import snapshot_download
from job import atomic, run


def main(job):
    with atomic(job.output.folder) as partial:
        snapshot_download(
            job.params.repository,
            revision=job.params.revision,
            allow_patterns=["tokenizer*", "vocab*", "merges.txt", "special_tokens_map.json", "config.json"],
            local_dir=partial,
        )


run(main, snakemake)
