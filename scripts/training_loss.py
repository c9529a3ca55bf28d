"""The last losses of the models trained here, beside the entropy of their training tokens."""

import numpy as np
import pandas as pd

from rareneurons.dynamics.training_loss import final_losses
from rareneurons_jobs.job import run, write_csv


def main(job):
    losses = pd.concat([pd.read_csv(file) for file in job.input.losses], ignore_index=True)
    counts = {model: np.load(file) for model, file in zip(job.params.models, job.input.counts, strict=True)}
    write_csv(final_losses(losses, counts), job.output[0])


run(main, snakemake)
