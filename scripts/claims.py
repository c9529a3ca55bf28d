"""A verdict per claim and model, and over models."""

from pathlib import Path

import pandas as pd
from job import run, write_csv, write_text

from rareneurons.claims import CLAIMS, Bounds, claims_markdown, decide


def main(job):
    bounds = Bounds(*job.params.pair, **job.params.bounds)
    claims = decide({Path(file).stem: pd.read_csv(file) for file in job.input}, bounds)
    write_csv(claims, job.output.csv)
    write_text(claims_markdown(claims, CLAIMS), job.output.markdown)


run(main, snakemake)
