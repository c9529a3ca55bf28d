"""Write the tokenizer of a GGUF file as tokenizer.json."""

from pathlib import Path

from rareneurons.gguf_files.tokenizer import unpack_tokenizer
from rareneurons.tokens import open_tokenizer
from rareneurons_jobs.job import atomic, run


def main(job):
    with atomic(job.output.folder) as partial:
        Path(partial).mkdir()
        unpack_tokenizer(job.input.file, partial)
        open_tokenizer(partial, f"tokenizers[].file: {job.input.file!r}")


run(main, snakemake)
