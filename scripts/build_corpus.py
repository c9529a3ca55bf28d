"""Read or extract a corpus, deduplicate it, and set documents aside for evaluation."""

import gc

from job import progress, run, write_json, write_parquet

from rareneurons import corpus


def main(job):
    entry = job.params.corpus
    gc.disable()  # syntax trees are large and free of cycles: collecting them takes as long as parsing
    if entry["source"] == "docstrings":
        texts = corpus.package_docstrings(entry["packages"], progress("packages"))
    else:
        texts = corpus.read_documents(job.input[0], entry["text_column"])
    built = corpus.build_corpus(texts, entry["min_characters"], entry["evaluation_share"])
    write_parquet(built.documents, job.output.documents)
    write_json(corpus.manifest(built) | {"source": dict(entry)}, job.output.manifest)


run(main, snakemake)
