"""Choose the rows that every checkpoint of every model with this tokenizer is evaluated on."""

import numpy as np
import pandas as pd

from rareneurons.bands import ElbowRule, read_counts
from rareneurons.evaluation import RowSettings, evaluation_rows
from rareneurons.tokens import open_tokenizer
from rareneurons_jobs.job import announce, atomic, generator, run, write_parquet


def main(job):
    given = {key: value for key, value in job.params.rows.items() if key != "corpus"}
    settings = RowSettings(**given | {"elbow": ElbowRule(**given["elbow"])})
    tokenizer = open_tokenizer(job.params.tokenizer)
    chosen = evaluation_rows(
        tokenizer,
        read_counts(job.input.counts, len(tokenizer)),
        pd.read_parquet(job.input.documents),
        settings,
        tuple(job.params.pair),
        generator(job, "rows"),
        job.params.padded_to,
    )
    for condition in chosen.bands:
        if condition.elbow and condition.elbow.reason:
            announce(
                f"condition {condition.name!r}: its elbow is at {condition.elbow.fraction:.4f} by "
                f"{condition.elbow.rule}, because {condition.elbow.reason}. `rows.elbow.rule: mass` chooses it by mass"
            )
    blocks, described = chosen.blocks, chosen.conditions
    described.insert(0, "tokenizer", job.wildcards.tokenizer)
    with atomic(job.output.blocks) as partial, open(partial, "wb") as file:
        np.savez(file, tokens=blocks.tokens, length=blocks.length, document=blocks.document)
    write_parquet(chosen.rows, job.output.rows)
    write_parquet(chosen.frequencies, job.output.frequencies)
    write_parquet(described, job.output.conditions)


run(main, snakemake)
