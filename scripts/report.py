"""The report of the run: one page with verdicts, figures, tables, provenance, time and configuration."""

from pathlib import Path

import pandas as pd

from rareneurons.report.run_report import SHOWN_WHOLE, TABLE_ROWS, run_report
from rareneurons_jobs.job import run, write_text


def first_rows(file):
    """A table as the report shows it, and how many rows it has."""
    with open(file, encoding="utf-8") as lines:
        rows = sum(1 for _ in lines) - 1
    return pd.read_csv(file, nrows=None if Path(file).stem in SHOWN_WHOLE else TABLE_ROWS), rows


def benchmarks_below(folder):
    """Snakemake's time and memory records, each with its rule: the first part of its path."""
    records = []
    for file in sorted(folder.rglob("*.tsv")):
        rule = file.relative_to(folder).with_suffix("").parts[0]
        records.append(pd.read_csv(file, sep="\t", na_values="-").assign(rule=rule))
    return pd.concat(records, ignore_index=True)


def main(job):
    page = run_report(
        job.params.config["run"],
        pd.read_csv(job.input.claims),
        {Path(file).stem: Path(file).read_bytes() for file in job.input.figures},
        {Path(file).stem: first_rows(file) for file in job.input.tables},
        job.params.captions,
        benchmarks_below(Path(job.params.benchmarks)),
        job.params.config,
        job.params.neuron_pages,
    )
    write_text(page, job.output[0])


run(main, snakemake)
