"""Read or extract a corpus, deduplicate it, and set documents aside for evaluation."""

import gc
from concurrent.futures import ProcessPoolExecutor
from itertools import chain
from multiprocessing import get_context

from rareneurons import corpus
from rareneurons_jobs.job import run, write_json, write_parquet


def main(job):
    entry, n_null = job.params.corpus, 0
    if entry["source"] == "docstrings":
        # Syntax trees are large and free of cycles: collecting them takes as long as parsing.
        # Forked, because a new interpreter would run this script again.
        with ProcessPoolExecutor(job.threads, get_context("fork"), initializer=gc.disable) as pool:
            texts = list(chain.from_iterable(pool.map(corpus.package_docstrings, entry["packages"])))
    else:
        read = corpus.read_files(job.input, entry["text_column"])
        texts, n_null = read.documents, read.n_null
    built = corpus.build_corpus(texts, entry["min_characters"], entry["evaluation_share"])
    write_parquet(built.documents, job.output.documents)
    write_json(corpus.manifest(built) | {"null_texts": n_null, "source": dict(entry)}, job.output.manifest)


run(main, snakemake)
