"""Stream the first documents of a Hugging Face data set into a file."""

import pandas as pd

from rareneurons.corpus import dataset_texts
from rareneurons_jobs.job import run, write_parquet


def main(job):
    entry = job.params.corpus
    texts = dataset_texts(
        entry.get("folder") or entry["repository"],
        entry["split"],
        entry["documents"],
        entry["text_column"],
        entry.get("subset"),
        entry.get("revision"),
    )
    write_parquet(pd.DataFrame({entry["text_column"]: pd.Series(texts, dtype="object")}), job.output[0])


run(main, snakemake)
