"""Train a GPT-NeoX model and save its checkpoints as transformers folders."""

import numpy as np
import pandas as pd
import torch
from device import device_of
from job import atomic, generator, progress, run, write_csv

from rareneurons.conventions import checkpoint_steps
from rareneurons.models.training import Optimisation, Shape, train, untrained_model


def main(job):
    torch.set_num_threads(job.threads)
    entry = job.params.model
    schedule = dict(entry["training"])
    steps = checkpoint_steps(schedule["steps"], schedule.pop("save_every"))
    shape = Shape(entry["hidden_size"], entry["n_layers"], entry["n_heads"])
    rng = generator(job)
    vocabulary_size = len(np.load(job.input.counts))
    model = untrained_model(shape, vocabulary_size, schedule["block_length"], int(rng.integers(2**31)))
    model.to(device_of(job.params.device))
    with atomic(job.output.checkpoints) as partial:
        records = train(
            model,
            np.load(job.input.stream, mmap_mode="r"),
            Optimisation(**schedule),
            steps,
            lambda step, trained: trained.save_pretrained(f"{partial}/step{step}"),
            rng,
            progress(f"train {entry['name']}"),
        )
        losses = pd.DataFrame(list(records))
    losses.insert(0, "model", entry["name"])
    write_csv(losses, job.output.loss)


run(main, snakemake)
