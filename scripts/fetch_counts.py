"""Download token counts and refuse them unless their hash is the configured one."""

import hashlib
import shutil
import urllib.request
from pathlib import Path

from rareneurons.errors import CorpusError
from rareneurons_jobs.job import FORBIDDEN, FULL, atomic, run


def main(job):
    with atomic(job.output[0]) as partial:
        try:
            # http(s) alone, by the schema
            with urllib.request.urlopen(job.params.url, timeout=60) as response, open(partial, "wb") as file:  # noqa: S310
                shutil.copyfileobj(response, file)
        except OSError as error:
            if error.errno in FULL | FORBIDDEN:
                raise
            raise CorpusError(
                f"tokenizers[].counts.url: {job.params.url} cannot be read ({error}); nothing was kept. Run again "
                "where there is internet, or download it and use counts: {source: file, file: ...}"
            ) from error
        found = hashlib.sha256(Path(partial).read_bytes()).hexdigest()
        if found != job.params.sha256:
            raise CorpusError(
                f"tokenizers[].counts.sha256: {job.params.url} has SHA-256 {found}, expected {job.params.sha256}; "
                "the file has changed or the download broke. Nothing was kept"
            )


run(main, snakemake)
