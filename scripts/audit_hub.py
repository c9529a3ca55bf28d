"""Are a hub model's checkpoints what their names say? Hashes as listed, and a sample read over the network."""

import json
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from rareneurons.errors import CheckpointError
from rareneurons.model_folders.config_file import config_of, differing_sizes
from rareneurons.models.audit import StoredCheckpoint
from rareneurons.models.hub import opened_on_hub
from rareneurons.models.weight_sample import weight_sample
from rareneurons.tables import CheckpointName
from rareneurons_jobs.audit_job import write_findings
from rareneurons_jobs.job import progress_of, run

CONNECTIONS = 8


def stored(model: str, file: str) -> StoredCheckpoint:
    """What a listing says, with a sample of the weights."""
    listing = json.loads(Path(file).read_text(encoding="utf-8"))
    name, source = CheckpointName(model, Path(file).parent.name), f"hub {listing['repository']}"
    if "missing" in listing:
        return StoredCheckpoint(name, source, listing["revision"], missing=listing["missing"])
    known = partial(StoredCheckpoint, name, source, listing["revision"], listing["commit"], listing["files"])
    try:
        return known(weight_sample(listing["files"], partial(opened_on_hub, listing["repository"], listing["commit"])))
    except CheckpointError as error:
        return known(missing=str(error))


def described(file: str) -> dict:
    """Content of a listed checkpoint's config.json; empty where there is none, or none that can be read."""
    listing = json.loads(Path(file).read_text(encoding="utf-8"))
    if "missing" in listing:
        return {}
    with opened_on_hub(listing["repository"], listing["commit"], "config.json") as content:
        return config_of(content.read())


def main(job):
    model = job.wildcards.model
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        names = [Path(file).parent.name for file in job.input]
        different = differing_sizes(dict(zip(names, pool.map(described, job.input), strict=True)))
        if different:
            raise CheckpointError(f"{model}: {different}")
        with progress_of(f"sample {model}", len(job.input), "checkpoints") as advance:
            found = []
            for checkpoint in pool.map(partial(stored, model), job.input):
                found.append(checkpoint)
                advance(1)
    write_findings(job, found)


run(main, snakemake)
