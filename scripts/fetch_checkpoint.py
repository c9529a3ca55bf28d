"""Download one checkpoint, at the commit that the audit saw, and check it."""

import json
import os
from pathlib import Path

from rareneurons.errors import HubError
from rareneurons.model_folders.config_file import refuse_longer_rows
from rareneurons.models.checkpoints import checked_config
from rareneurons.models.hub import download
from rareneurons_jobs.job import remove, run, write_json


def main(job):
    listing = json.loads(Path(job.input.listing).read_text(encoding="utf-8"))
    if "missing" in listing:
        raise HubError(
            f"{job.wildcards.model}/{job.wildcards.checkpoint}: {listing['missing']}. Leave it out: "
            "models[].leave_out in the configuration; --keep-going computes the others. Once the hub has it, delete "
            f"{job.input.listing} and run again"
        )
    folder = Path(job.output.folder)
    partial = folder.with_name(".weights.partial")  # survives a failure, so that what was downloaded is kept
    known = (listing["repository"], listing["commit"])
    download(*known, {"config.json": listing["files"]["config.json"]}, str(partial))
    described = checked_config(str(partial)).to_dict()  # refused before its weights are downloaded
    refuse_longer_rows(described, job.params.block_length, f"{job.wildcards.model}/{job.wildcards.checkpoint}")
    hashes = download(*known, listing["files"], str(partial))
    origin = {key: listing[key] for key in ("repository", "revision", "commit")}
    write_json(origin | {"sha256": hashes}, str(partial / "origin.json"))
    remove(folder)
    os.replace(partial, folder)


run(main, snakemake)
