"""Hashes of a model's checkpoint folders, and whether they are what their names say."""

from pathlib import Path

from audit_job import write_findings
from job import progress, run

from rareneurons.models.stored import stored_in_folder
from rareneurons.tables import CheckpointName


def main(job):
    model = job.wildcards.model
    folders = progress(f"hash {model}")(job.params.folders.items())
    found = [stored_in_folder(CheckpointName(model, checkpoint), Path(folder)) for checkpoint, folder in folders]
    write_findings(job, found)


run(main, snakemake)
