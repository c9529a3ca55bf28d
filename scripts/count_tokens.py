"""Tokenize the training partition of a corpus and count its tokens."""

import numpy as np
import pandas as pd

from rareneurons.corpus import training_texts
from rareneurons.tokens import open_tokenizer, token_counts, token_stream
from rareneurons_jobs.job import atomic, run


def main(job):
    tokenizer = open_tokenizer(job.params.tokenizer)
    stream = token_stream(tokenizer, training_texts(pd.read_parquet(job.input.documents)))
    arrays = {job.output.stream: stream, job.output.counts: token_counts(stream, len(tokenizer))}
    for path, array in arrays.items():
        with atomic(path) as partial, open(partial, "wb") as file:
            np.save(file, array)


run(main, snakemake)
