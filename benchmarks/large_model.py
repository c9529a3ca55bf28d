"""Trace and influence of GPT-2 XL's shape with random weights: seconds, memory, and difference from the CPU.

``python benchmarks/large_model.py results/bench`` runs on the accelerator if there is one, else on the CPU, and writes
``large_model.csv``. The CPU repeats a few blocks of the trace, and a few rows of the influence for all neurons.
"""

import argparse
import resource
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from influence import SHAPES, random_model

from rareneurons.influence.last_mlp import influence_by_document
from rareneurons.influence.sums import clustered_mean
from rareneurons.models.architectures import architecture_of
from rareneurons.rows import candidate_rows
from rareneurons.tokens import Blocks
from rareneurons.trace import trace_rows

LENGTH = 256  # tokens per block
ROWS_PER_BLOCK = 16
COMPARED = {"blocks": 2, "rows": 32}


def random_rows(vocabulary: int, n_rows: int) -> tuple[Blocks, pd.DataFrame]:
    """Blocks of random tokens, one per document, and the same number of rows in each."""
    rng = np.random.default_rng(0)
    n_blocks = -(-n_rows // ROWS_PER_BLOCK)
    tokens = rng.integers(0, vocabulary, size=(n_blocks, LENGTH)).astype(np.int32)
    blocks = Blocks(tokens, np.full(n_blocks, LENGTH, np.int32), np.arange(n_blocks))
    rows = candidate_rows(blocks).groupby("block").head(ROWS_PER_BLOCK)
    return blocks, rows.iloc[:n_rows].reset_index(drop=True)


def mean_effects(layer, trace, rows):
    """Mean effect of every neuron over the rows in nats, and how the pairs were computed."""
    everything = {"all": np.ones(len(rows), dtype=bool)}
    target, document = rows["target"].to_numpy(), rows["document"].to_numpy()
    sums, pairs = influence_by_document(layer, trace, trace["mean_activation"], target, document, everything)
    return clustered_mean(sums["all"].signed, sums["all"].n_rows)[0], pairs


def timed(work, device: str) -> tuple[object, float, float]:
    """Result, seconds, and peak memory in GB, of the accelerator or else of this process so far."""
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    started = time.perf_counter()
    result = work()
    seconds = time.perf_counter() - started
    if device == "cuda":
        return result, seconds, torch.cuda.max_memory_allocated() / 1e9
    return result, seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def main() -> None:
    """Measure the time, compare with the CPU, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder")
    parser.add_argument("--shape", choices=SHAPES, default="gpt2_xl")
    parser.add_argument("--rows", type=int, default=10000)
    parser.add_argument("--batch-size", type=int, default=8)
    settings = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.manual_seed(0)
    model = random_model(**SHAPES[settings.shape]).eval().requires_grad_(False)
    blocks, rows = random_rows(SHAPES[settings.shape]["vocabulary"], settings.rows)
    few = rows[rows["block"] < COMPARED["blocks"]]
    slow_trace = vars(trace_rows(architecture_of(model), blocks, few, settings.batch_size))

    architecture = architecture_of(model.to(device))
    traced, trace_seconds, trace_gb = timed(
        lambda: vars(trace_rows(architecture, blocks, rows, settings.batch_size)), device
    )
    layer = architecture.last_layer().to(device, torch.float32)
    (means, pairs), seconds, gigabytes = timed(lambda: mean_effects(layer, traced, rows), device)

    part = {name: value[: COMPARED["rows"]] for name, value in traced.items() if name in ("activation", "residual")}
    part["mean_activation"] = traced["mean_activation"]
    first = rows.iloc[: COMPARED["rows"]]
    found, _ = mean_effects(layer, part, first)
    expected, _ = mean_effects(layer.to("cpu", torch.float32), part, first)
    n_few = len(few)
    result = pd.DataFrame(
        [
            {
                "stage": "trace",
                "seconds": trace_seconds,
                "peak_gb": trace_gb,
                "difference_from_cpu": np.abs(traced["activation"][:n_few] - slow_trace["activation"]).max(),
                "unit": "activation",
            },
            {
                "stage": "influence",
                "seconds": seconds,
                "peak_gb": gigabytes,
                "difference_from_cpu": np.abs(found - expected).max(),
                "unit": "nats",
            },
        ]
    )
    name = torch.cuda.get_device_name() if device == "cuda" else "cpu"
    result = result.assign(shape=settings.shape, device=name, rows=len(rows), neurons=len(layer.output_weight))
    result = result.assign(tokens=blocks.tokens.size, largest_effect_nats=np.abs(means).max())
    Path(settings.folder).mkdir(parents=True, exist_ok=True)
    result.to_csv(Path(settings.folder) / "large_model.csv", index=False)
    print(result.to_string(index=False))
    print("pairs:", pairs)


if __name__ == "__main__":
    main()
