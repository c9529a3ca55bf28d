"""Unpack a GGUF file's model to an ordinary folder, and record what the file is."""

from pathlib import Path

from rareneurons.gguf_files.model import unpack_model
from rareneurons.gguf_files.reading import quantisation_in_words
from rareneurons.model_folders.config_file import read_config, refuse_longer_rows
from rareneurons.models.weights import sha256_of
from rareneurons_jobs.job import atomic, run, write_json


def main(job):
    file = Path(job.input.file)
    with atomic(job.output.folder) as partial:
        Path(partial).mkdir()
        said = unpack_model(str(file), partial)
        refuse_longer_rows(read_config(partial), job.params.block_length, job.wildcards.model)
        said["quantisation"] = quantisation_in_words(said["quantisation"])
        write_json({"file": file.name, "file_sha256": sha256_of(file)} | said, f"{partial}/origin.json")


run(main, snakemake)
