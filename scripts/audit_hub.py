"""Are a hub model's checkpoints what their names say? Hashes as listed, and a sample read over the network."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rareneurons.errors import CheckpointError
from rareneurons.model_folders.config_file import differing_sizes
from rareneurons.models.stored import config_on_hub, stored_on_hub
from rareneurons.tables import CheckpointName
from rareneurons_jobs.audit_job import write_findings
from rareneurons_jobs.job import progress_of, run

CONNECTIONS = 8


def main(job):
    model = job.wildcards.model
    names = [CheckpointName(model, Path(file).parent.name) for file in job.input]
    listings = [json.loads(Path(file).read_text(encoding="utf-8")) for file in job.input]
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        steps = [name.checkpoint for name in names]
        different = differing_sizes(dict(zip(steps, pool.map(config_on_hub, listings), strict=True)))
        if different:
            raise CheckpointError(f"{model}: {different}")
        with progress_of(f"sample {model}", len(job.input), "checkpoints") as advance:
            found = []
            for checkpoint in pool.map(stored_on_hub, names, listings):
                found.append(checkpoint)
                advance(1)
    write_findings(job, found)


run(main, snakemake)
