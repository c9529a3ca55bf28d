"""The verdicts under each of the authors' choices, beside the run's own."""

from pathlib import Path

import pandas as pd

from rareneurons.claims import Bounds, View
from rareneurons.comparison.choices import choices_markdown, effects_of_choices, input_condition
from rareneurons.models.audit import training_part
from rareneurons_jobs.job import generator, read_table, run, write_csv, write_text


def main(job):
    tables = {Path(file).stem: read_table(file) for file in job.input.tables}
    measured, draws = (
        pd.concat([pd.read_parquet(file) for file in files], ignore_index=True)
        for files in (job.input.measured, job.input.draws)
    )
    choices = effects_of_choices(
        tables,
        measured,
        training_part(draws, tables["audit"]),
        input_condition(job.params.conditions),
        View(*job.params.pair),
        Bounds(**job.params.bounds),
        generator(job, "choices"),
    )
    write_csv(choices, job.output.csv)
    write_text(choices_markdown(choices), job.output.markdown)


run(main, snakemake)
