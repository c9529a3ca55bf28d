"""Choose the rows that every checkpoint of every model with this tokenizer is evaluated on."""

import numpy as np
import pandas as pd
from job import atomic, generator, run, write_parquet

from rareneurons import rows as selection
from rareneurons.corpus import evaluation_documents
from rareneurons.tokens import document_blocks, open_tokenizer, special_ids, texts_of_tokens


def main(job):
    settings, rng = job.params.rows, generator(job)
    tokenizer = open_tokenizer(job.input.tokenizer)
    frequencies = selection.frequency_table(np.load(job.input.counts), special_ids(tokenizer))
    bands = selection.bands(settings["conditions"], selection.elbow_fraction(frequencies, **settings["elbow"]))
    documents = evaluation_documents(pd.read_parquet(job.input.documents), settings["documents"], rng)
    blocks = document_blocks(tokenizer, documents, settings["block_length"])
    rows = selection.select_rows(
        selection.candidate_rows(blocks),
        {band.name: (band.by, selection.band_tokens(frequencies, band)) for band in bands},
        selection.draw_splits(blocks.document, settings["discovery_share"], rng),
        settings["rows_per_condition"],
        rng,
    )
    conditions = selection.describe_conditions(
        rows, frequencies, bands, texts_of_tokens(tokenizer, frequencies["token"])
    )
    conditions.insert(0, "tokenizer", job.wildcards.tokenizer)
    with atomic(job.output.blocks) as partial, open(partial, "wb") as file:
        np.savez(file, tokens=blocks.tokens, length=blocks.length, document=blocks.document)
    write_parquet(rows, job.output.rows)
    write_parquet(frequencies, job.output.frequencies)
    write_parquet(conditions, job.output.conditions)


run(main, snakemake)
