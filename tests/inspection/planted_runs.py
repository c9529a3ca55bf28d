"""Tiny runs that were really trained, on a hub on this machine, and the faults that users reported of published ones.

``python tests/inspection/planted_runs.py`` audits 50 honest runs, and 10 with each fault; it prints what was named, how
long it took and how many bytes were read.
"""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import numpy as np
from hub_server import Hub, served
from huggingface_hub import constants
from transformers.utils import logging

from rareneurons.inspection.auditing import RunAudit, audit
from rareneurons.models.training import Optimisation, Shape, begin, train, untrained_model

logging.disable_progress_bar()
STEPS = [0, 2, 4, 8, 16, 24, 32, 40, 48]
VOCABULARY, LENGTH = 64, 16
SCHEDULE = Optimisation(
    steps=STEPS[-1], batch_size=4, block_length=LENGTH, learning_rate=5e-3, warmup_steps=2, weight_decay=0.1
)
Run = dict[str, Path]  # branch -> folder


def trained(folder: Path, weight_seed: int, data_seed: int) -> Run:
    """A run in shards, one folder per step."""
    rng = np.random.default_rng(data_seed)
    model = untrained_model(Shape(16, 2, 2, 64), VOCABULARY, LENGTH, weight_seed)
    stream = rng.integers(0, VOCABULARY, size=4000).astype(np.int32)
    run = {f"step{step}": folder / f"step{step}" for step in STEPS}

    def save(training):
        training.model.save_pretrained(run[f"step{training.step}"], max_shard_size="16KB")

    train(begin(model, SCHEDULE, rng), stream, SCHEDULE, STEPS, save)
    return run


def late_weights(run: Run, _other: Run) -> set[str]:
    for early in ("step2", "step8"):
        shutil.rmtree(run[early])
        shutil.copytree(run["step48"], run[early])
    return {"step2: duplicate", "step8: duplicate"}


def late_shard(run: Run, _other: Run) -> set[str]:
    shard = sorted(run["step48"].glob("*.safetensors"))[0]
    shutil.copy(shard, run["step8"])
    return {"step8: mixed"}


def identical(run: Run, _other: Run) -> set[str]:
    shutil.rmtree(run["step16"])
    shutil.copytree(run["step24"], run["step16"])
    return {"step16: duplicate"}


def no_branch(run: Run, _other: Run) -> set[str]:
    del run["step32"]
    return {"step32: missing"}


def no_weights(run: Run, _other: Run) -> set[str]:
    for file in run["step40"].glob("*.safetensors"):
        file.unlink()
    return {"step40: missing"}


def other_start(run: Run, other: Run) -> set[str]:
    shutil.rmtree(run["step0"])
    shutil.copytree(other["step0"], run["step0"])
    return {"step0: unrelated"}


def other_seed(run: Run, other: Run) -> set[str]:
    """EleutherAI/pythia issue 203: all but step 0 continue the weights of the run beside it."""
    for step in run.keys() - {"step0"}:
        shutil.rmtree(run[step])
        shutil.copytree(other[step], run[step])
    return {"step0: unrelated", *(f"{step}: seed" for step in run if step != "step0")}


FAULTS = (late_weights, late_shard, identical, no_branch, no_weights, other_start, other_seed)


@contextmanager
def on_hub(repositories: dict[str, Run]) -> Iterator[Hub]:
    """The repositories on a hub, which the client asks while this is active."""
    with served(Hub(repositories)) as hub:
        template = hub.url + "/{repo_id}/resolve/{revision}/{filename}"
        changed = {"ENDPOINT": hub.url, "HUGGINGFACE_CO_URL_TEMPLATE": template, "HF_HUB_OFFLINE": False}
        with patch.multiple(constants, **changed):
            yield hub


def audited(folder: Path, seed: int, fault=None) -> tuple[RunAudit, set[str], Hub]:
    """Audit of a run, what should be found, and the hub that served it. A run of another weight seed is beside it."""
    other = trained(folder / "other", 1000 + seed, seed)
    run = trained(folder / "own", seed, seed)
    expected = fault(run, other) if fault else set()
    name, beside = f"lab/tiny-weight-seed{seed}", f"lab/tiny-weight-seed{1000 + seed}"
    with on_hub({name: run, beside: other}) as hub:
        found = audit(name, beside=[] if fault is other_start else [beside], progress=False)
    return found, expected, hub


def named(found: RunAudit) -> set[str]:
    return {f"{row.checkpoint}: {row.finding}" for row in found.findings.itertuples()}


def main() -> None:
    """Count."""
    for fault, n in ((None, 50), *((fault, 10) for fault in FAULTS)):
        right, seconds, read, total, started = 0, 0.0, 0, 0, time.process_time()
        for seed in range(n):
            with TemporaryDirectory() as folder:
                found, expected, _ = audited(Path(folder), seed, fault)
            right += named(found) == expected
            if named(found) != expected:
                print(f"seed {seed}: found {sorted(named(found))}, expected {sorted(expected)}")
            seconds, read = seconds + found.seconds, read + found.bytes_read
            total += int(found.table["bytes"].sum())
        print(
            f"{fault.__name__ if fault else 'honest'}: right in {right} of {n}; {seconds / n:.2f} s and "
            f"{read / n / 1024:.0f} of {total / n / 1024:.0f} KiB per audit; "
            f"{time.process_time() - started:.0f} s CPU in all",
            flush=True,
        )


if __name__ == "__main__":
    main()
