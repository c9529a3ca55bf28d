"""Choose the rows that every checkpoint of every model with this tokenizer is evaluated on."""

import numpy as np
import pandas as pd

from rareneurons import rows as selection
from rareneurons.bands import ElbowRule, bands, frequency_table, read_counts
from rareneurons.corpus import evaluation_documents
from rareneurons.tokens import document_blocks, open_tokenizer, special_ids, visible_tokens
from rareneurons_jobs.job import announce, atomic, generator, run, write_parquet


def main(job):
    settings, rng = job.params.rows, generator(job, "rows")
    tokenizer = open_tokenizer(job.params.tokenizer)
    counts = read_counts(job.input.counts, len(tokenizer))
    frequencies = frequency_table(counts, special_ids(tokenizer), len(tokenizer))
    conditions = bands(
        settings["conditions"], frequencies, counts, job.params.padded_to, ElbowRule(**settings["elbow"])
    )
    for condition in conditions:
        if condition.elbow and condition.elbow.reason:
            announce(
                f"condition {condition.name!r}: its elbow is at {condition.elbow.fraction:.4f} by "
                f"{condition.elbow.rule}, because {condition.elbow.reason}. `rows.elbow.rule: mass` chooses it by mass"
            )
    documents = evaluation_documents(pd.read_parquet(job.input.documents), settings["documents"], rng)
    blocks = document_blocks(tokenizer, documents, settings["block_length"])
    rows = selection.select_rows(
        selection.candidate_rows(blocks),
        conditions,
        selection.draw_splits(blocks.document, settings["discovery_share"], rng),
        settings["rows_per_condition"],
        rng,
    )
    rows = selection.with_shuffled_labels(rows, tuple(job.params.pair), rng)
    frequencies["text"] = list(visible_tokens(tokenizer, frequencies["token"]).values())
    described = selection.describe_conditions(
        rows, frequencies, conditions, visible_tokens(tokenizer, np.concatenate([c.tokens for c in conditions]))
    )
    described.insert(0, "tokenizer", job.wildcards.tokenizer)
    with atomic(job.output.blocks) as partial, open(partial, "wb") as file:
        np.savez(file, tokens=blocks.tokens, length=blocks.length, document=blocks.document)
    write_parquet(rows, job.output.rows)
    write_parquet(frequencies, job.output.frequencies)
    write_parquet(described, job.output.conditions)


run(main, snakemake)
