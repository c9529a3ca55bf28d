"""Train a model and save its checkpoints as transformers folders; if this is interrupted, the next start resumes it."""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from rareneurons.conventions import checkpoint_steps, neurons_of_mlp
from rareneurons.models import training
from rareneurons.models.devices import device_of
from rareneurons.models.training import Experts, Optimisation, Shape
from rareneurons_jobs.job import announce, atomic, generator, progress, remove, run, write_csv


def main(job):
    torch.set_num_threads(job.threads)
    entry = job.params.model
    schedule = dict(entry["training"])
    steps = checkpoint_steps(schedule["steps"], schedule.pop("save_every"))
    optimisation, tokens = Optimisation(**schedule), np.load(job.input.stream, mmap_mode="r")
    # A model's own seed decides alone; otherwise the run's and its name do.
    rng = np.random.default_rng(entry["seed"]) if "seed" in entry else generator(job, "train_model")
    model = untrained(job, schedule["block_length"], int(rng.integers(2**31)))
    begun = training.begin(model, optimisation, rng)
    kept = kept_state(job, tokens)
    with atomic(job.output.checkpoints) as partial:

        def save(current):
            name = f"step{current.step}"
            current.model.save_pretrained(f"{partial}/{name}")
            with atomic(kept / name) as copy:
                shutil.copytree(f"{partial}/{name}", copy)
            with atomic(kept / "state.safetensors") as file:
                training.write_state(current, file)

        go_on(begun, kept, steps, partial)
        training.train(begun, tokens, optimisation, steps, save, progress(f"train {entry['name']}"))
    losses = pd.DataFrame({"model": entry["name"], "step": range(begun.step), "loss": begun.losses})
    losses["learning_rate"] = [optimisation.learning_rate_at(step) for step in losses["step"]]
    write_csv(losses, job.output.loss)
    for folder in kept.parent.glob(".training.*.state"):
        remove(folder)


def untrained(job, block_length, seed):
    entry = job.params.model
    experts = Experts(**entry["experts"]) if "experts" in entry else None
    shape = Shape(entry["hidden_size"], entry["n_layers"], entry["n_heads"], neurons_of_mlp(entry), experts)
    model = training.untrained_model(shape, len(np.load(job.input.counts)), block_length, seed)
    return model.to(device_of(job.params.device))


def kept_state(job, tokens):
    """Folder of the training so far. Its name says what is trained, so another training never goes on from it."""
    what = {name: job.params[name] for name in ("model", "seed", "device", "code")} | {"torch": torch.__version__}
    digest = hashlib.sha256(json.dumps(what, sort_keys=True).encode())
    digest.update(tokens)
    output = Path(job.output.checkpoints)
    return output.with_name(f".{output.name}.{digest.hexdigest()[:16]}.state")


def go_on(begun, kept, steps, partial):
    """Bring a training to its last save, if it was interrupted, and take over the checkpoints up to there."""
    if not (kept / "state.safetensors").exists():
        return
    training.read_state(begun, kept / "state.safetensors")
    announce(f"{kept}: training goes on at step {begun.step}")
    for step in steps:
        if step <= begun.step:
            shutil.copytree(kept / f"step{step}", f"{partial}/step{step}")


run(main, snakemake)
