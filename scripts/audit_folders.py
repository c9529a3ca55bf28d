"""Hashes of a model's checkpoint folders, and whether they are what their names say."""

from pathlib import Path

from rareneurons.errors import CheckpointError
from rareneurons.model_folders.folders import weight_files
from rareneurons.models.audit import StoredCheckpoint
from rareneurons.models.weight_sample import weight_sample
from rareneurons.models.weights import sha256_of, stored_places
from rareneurons.tables import CheckpointName
from rareneurons_jobs.audit_job import write_findings
from rareneurons_jobs.job import progress, run


def stored(name: CheckpointName, folder: Path) -> StoredCheckpoint:
    """One folder: its files with their hashes, and a sample of its weights."""
    names = weight_files(file.name for file in folder.glob("*"))
    files = {
        name: {"size": (folder / name).stat().st_size, "sha256": sha256_of(folder / name)}
        for name in ["config.json", *names]
        if (folder / name).exists()
    }
    try:
        sample = weight_sample(names, lambda n: (folder / n).open("rb"))
        stored_places(str(folder))
    except CheckpointError as error:
        return StoredCheckpoint(name, str(folder), files=files, missing=str(error))
    return StoredCheckpoint(name, str(folder), files=files, sample=sample)


def main(job):
    model = job.wildcards.model
    folders = progress(f"hash {model}")(job.params.folders.items())
    found = [stored(CheckpointName(model, checkpoint), Path(folder)) for checkpoint, folder in folders]
    write_findings(job, found)


run(main, snakemake)
