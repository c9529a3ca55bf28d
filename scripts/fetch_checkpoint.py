"""Download one checkpoint; record which commit and which files it was."""

import hashlib
from pathlib import Path

from huggingface_hub import HfApi, snapshot_download
from job import atomic, run, write_json

WEIGHTS = ["*.safetensors", "model.safetensors.index.json"]
FALLBACK = ["pytorch_model*.bin", "pytorch_model.bin.index.json"]


def main(job):
    repository, revision = job.params.repository, job.wildcards.checkpoint
    info = HfApi().model_info(repository, revision=revision)
    names = [file.rfilename for file in info.siblings]
    weights = WEIGHTS if any(name.endswith(".safetensors") for name in names) else FALLBACK
    with atomic(job.output.folder) as partial:
        snapshot_download(repository, revision=info.sha, allow_patterns=["config.json", *weights], local_dir=partial)
        hashes = {}
        for file in sorted(path for path in Path(partial).iterdir() if path.is_file()):
            with open(file, "rb") as content:
                hashes[file.name] = hashlib.file_digest(content, "sha256").hexdigest()
    write_json(
        {"repository": repository, "revision": revision, "commit": info.sha, "sha256": hashes}, job.output.manifest
    )


run(main, snakemake)
