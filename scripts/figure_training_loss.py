"""Loss against training step of the models trained here."""

import numpy as np
import pandas as pd
from figure_job import draw
from job import run

from rareneurons.figures.training import training_loss
from rareneurons.tokens import unigram_entropy


def main(job):
    counts = np.load(job.input.counts[0])
    logs = pd.concat([pd.read_csv(file) for file in job.input.losses])
    draw(job, training_loss, logs, unigram_entropy(counts), len(counts))


run(main, snakemake)
