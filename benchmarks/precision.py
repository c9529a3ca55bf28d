"""Effect of weight and forward-pass precision on neuron influence, on a trained checkpoint of a finished run.

``python benchmarks/precision.py results/demo neox-medium/training/step512`` saves the checkpoint in each half
precision and, quantised and back, in two types of GGUF files (each matrix in blocks of 32 weights along its inputs).
It opens the checkpoint as the workflow does, traces it on the run's held-out rows and computes every neuron's
influence. It also runs the forward pass itself in half precision, which the workflow never does. Each variant is
compared, by condition, with a pass and a closed form in float64. Columns:

* ``max_mean``, ``max_difference``: largest |mean dL| of the reference, and largest difference from it, in nats
* ``median_in_se``: median over neurons of that difference, in the neuron's own standard errors
* ``rank_correlation``: Spearman's rank correlation of mean dL over all neurons
* ``top_100_kept``: share of the 100 neurons with the largest |mean dL| that are also among the 100 of the variant
"""

import argparse
import os
import tempfile
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

import numpy as np
import pandas as pd
import torch
from gguf import GGMLQuantizationType, dequantize, quants
from scipy.stats import spearmanr
from transformers import AutoModelForCausalLM

from rareneurons.influence.last_mlp import influence_by_document
from rareneurons.influence.sums import clustered_mean
from rareneurons.models.checkpoints import open_checkpoint
from rareneurons.rows import in_condition, rows_of_conditions
from rareneurons.tokens import Blocks
from rareneurons.trace import trace_rows

TOP = 100
HALVES = {"bfloat16": torch.bfloat16, "float16": torch.float16}
QUANTISED = ("Q8_0", "Q4_1")
# Precision of: the stored weights; the forward pass; the final norm, logits and closed form
VARIANTS = [
    ("float32", "float32", "float32"),
    *((half, "float32", "float32") for half in HALVES),
    *((kind, "float32", "float32") for kind in QUANTISED),
    *((half, half, "float32") for half in HALVES),
]


def save_as(stored: str, folder: str, copy: str) -> None:
    """Save a checkpoint with its weights in half precision, or quantised and back."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=HALVES.get(stored, torch.float32))
    if stored in QUANTISED:
        kind = GGMLQuantizationType[stored]
        for weight in model.parameters():
            if weight.ndim == 2:
                weight.data = torch.from_numpy(dequantize(quants.quantize(weight.detach().numpy(), kind), kind))
    model.save_pretrained(copy)


def influence(
    folder: str,
    precisions: tuple[str, str, str],
    blocks: Blocks,
    rows: pd.DataFrame,
    conditions: list[str],
    tolerance: float,
):
    """Condition -> mean dL and its standard error in nats, two arrays (N,)."""
    stored, passed, closed = precisions
    with tempfile.TemporaryDirectory() as copy:
        as_it_is = stored == "float32"
        if not as_it_is:
            save_as(stored, folder, copy)
        architecture = open_checkpoint(folder if as_it_is else copy, getattr(torch, passed))
    trace = vars(trace_rows(architecture, blocks, rows, batch_size=8))
    found, _ = influence_by_document(
        architecture.last_layer().to("cpu", getattr(torch, closed)),
        trace,
        trace["mean_activation"],
        rows["target"].to_numpy(),
        rows["document"].to_numpy(),
        {name: in_condition(rows, name) for name in conditions},
        tolerance=tolerance,
    )
    return {name: clustered_mean(sums.signed, sums.n_rows) for name, sums in found.items()}


def compared(reference, found) -> dict[str, float]:
    (truth, error), (mean, _) = reference, found
    top, top_found = (set(np.argsort(-np.abs(values))[:TOP]) for values in (truth, mean))
    return {
        "max_mean": np.abs(truth).max(),
        "max_difference": np.abs(mean - truth).max(),
        "median_in_se": np.median(np.abs(mean - truth) / error),
        "rank_correlation": spearmanr(truth, mean).statistic,
        "top_100_kept": len(top & top_found) / TOP,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="results/<run> of a finished run")
    parser.add_argument("checkpoint", help="folder of a checkpoint within it")
    parser.add_argument("--conditions", nargs="+", default=["rare", "common"])
    arguments = parser.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    folder = str(arguments.run / arguments.checkpoint)
    evaluated = next((arguments.run / "inputs/rows").iterdir())
    with np.load(evaluated / "blocks.npz") as arrays:
        blocks = Blocks(arrays["tokens"], arrays["length"], arrays["document"])
    rows = rows_of_conditions(pd.read_parquet(evaluated / "rows.parquet"), arguments.conditions)
    rows = rows[rows["split"] == "heldout"].reset_index(drop=True)
    inputs = (blocks, rows, arguments.conditions)
    reference = influence(folder, ("float32", "float64", "float64"), *inputs, tolerance=1e-9)
    lines = []
    for precisions in VARIANTS:
        found = influence(folder, precisions, *inputs, tolerance=1e-5)
        lines += [
            {"stored": precisions[0], "pass": precisions[1], "condition": name} | compared(reference[name], found[name])
            for name in arguments.conditions
        ]
    table = pd.DataFrame(lines)
    print(table.to_string(index=False, float_format="{:.3g}".format, formatters={"rank_correlation": "{:.6f}".format}))


if __name__ == "__main__":
    main()
