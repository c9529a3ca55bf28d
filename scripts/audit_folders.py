"""Hashes of a model's checkpoint folders, and whether they are what their names say."""

from pathlib import Path

from rareneurons.models.stored import stored_in_folder
from rareneurons.tables import CheckpointName
from rareneurons_jobs.audit_job import write_findings
from rareneurons_jobs.job import progress, run


def main(job):
    model = job.wildcards.model
    folders = progress(f"hash {model}")(job.params.folders.items())
    found = [stored_in_folder(CheckpointName(model, checkpoint), Path(folder)) for checkpoint, folder in folders]
    write_findings(job, found)


run(main, snakemake)
