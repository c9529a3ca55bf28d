"""Train a byte-level BPE tokenizer on the training partition of a corpus."""

import pandas as pd

from rareneurons.corpus import training_texts
from rareneurons.tokens import train_tokenizer
from rareneurons_jobs.job import atomic, run


def main(job):
    texts = training_texts(pd.read_parquet(job.input.documents))
    tokenizer = train_tokenizer(texts, job.params.vocabulary_size)
    with atomic(job.output.folder) as partial:
        tokenizer.save_pretrained(partial)


run(main, snakemake)
