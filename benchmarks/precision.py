"""Effect of weight and forward-pass precision on neuron influence, on trained checkpoints of a finished run.

``python benchmarks/precision.py results/demo neox-medium/training/step512 neox-small/training/step512`` saves each
checkpoint in each half precision and, quantised and back, in the types of GGUF files that the package gguf can write
(each matrix in blocks of 32 weights along its inputs). It opens the checkpoint as the workflow does, traces it on the
run's held-out rows and computes every neuron's influence. It also runs the forward pass itself in half precision, which
happens only to models that are in memory. Each variant is compared with a pass and a closed form in float64.

It prints the table of docs/methods.md: which forms of weights are supported, and their errors; then how large the
effects themselves are. Each number is the worst
over checkpoints and conditions:

* largest difference of a neuron's mean dL from the reference, in nats
* median over neurons of that difference, in the neuron's own standard errors
* Spearman's rank correlation of mean dL over all neurons
* how many of the 100 neurons with the largest |mean dL| are also among the 100 of the variant
"""

import argparse
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

import numpy as np
import pandas as pd
import torch
from gguf import GGMLQuantizationType, dequantize, quants
from scipy.stats import spearmanr
from transformers import AutoModelForCausalLM
from transformers.utils.quantization_config import QuantizationMethod

from rareneurons.influence.last_mlp import influence_by_document
from rareneurons.influence.sums import clustered_mean
from rareneurons.models.checkpoints import open_checkpoint
from rareneurons.rows import in_condition, rows_of_conditions
from rareneurons.tokens import Blocks
from rareneurons.trace import trace_rows

TOP = 100
HALVES = {"bfloat16": torch.bfloat16, "float16": torch.float16}
QUANTISED = ("Q8_0", "Q5_1", "Q5_0", "Q4_1", "Q4_0")
# Types of GGUF files that are read, and that only llama.cpp writes.
READ_ONLY = ("Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ*")
# Precision of: the stored weights; the forward pass; the final norm, logits and closed form
VARIANTS = [
    ("float32", "float32", "float32"),
    *((half, "float32", "float32") for half in HALVES),
    *((kind, "float32", "float32") for kind in QUANTISED),
    *((half, half, "float32") for half in HALVES),
]
HEADING = [
    "weights",
    "supported",
    "largest change of a mean dL (nats)",
    "median change, in standard errors",
    "Spearman's ρ",
    "of the top 100",
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
        "top_100_kept": len(top & top_found),
    }


def measured(run: Path, checkpoints: Iterable[str], conditions: list[str]) -> pd.DataFrame:
    """Errors of every variant, a row per checkpoint and condition."""
    evaluated = next((run / "inputs/rows").iterdir())
    with np.load(evaluated / "blocks.npz") as arrays:
        blocks = Blocks(arrays["tokens"], arrays["length"], arrays["document"])
    rows = rows_of_conditions(pd.read_parquet(evaluated / "rows.parquet"), conditions)
    inputs = (blocks, rows[rows["split"] == "heldout"].reset_index(drop=True), conditions)
    lines = []
    for checkpoint in checkpoints:
        folder = str(run / checkpoint)
        reference = influence(folder, ("float32", "float64", "float64"), *inputs, tolerance=1e-9)
        for precisions in VARIANTS:
            found = influence(folder, precisions, *inputs, tolerance=1e-5)
            lines += [
                {"stored": precisions[0], "pass": precisions[1]} | compared(reference[name], found[name])
                for name in conditions
            ]
    return pd.DataFrame(lines)


def support(table: pd.DataFrame | None = None) -> list[list[str]]:
    """The rows of the manual's table: every form of weights, and its worst errors if they were measured."""
    rows = [[_form(stored, passed), "yes", *_errors(table, stored, passed)] for stored, passed, _ in VARIANTS]
    read = f"GGUF {', '.join(READ_ONLY)}"
    methods = ", ".join(method.value for method in QuantizationMethod if method != QuantizationMethod.GGUF)
    no_numbers = ["", "", "", ""]
    return [
        *rows,
        [read, "yes; only llama.cpp writes them, so their error was not measured here", *no_numbers],
        [
            f"quantised by {methods}",
            "no: their packed numbers need the method's own code, and ablation would change something else. Use the "
            "model before its quantisation, or `model.dequantize()` and `save_pretrained`",
            *no_numbers,
        ],
        ["float8 or whole numbers, by whatever method", "no, for the same reason", *no_numbers],
    ]


def _form(stored: str, passed: str) -> str:
    if passed != "float32":
        return f"{stored}, in memory: the pass runs in {passed}"
    if stored in QUANTISED:
        return f"GGUF {stored}"
    return f"{stored} files" + ("" if stored == "float32" else ", also in GGUF")


def _errors(table: pd.DataFrame | None, stored: str, passed: str) -> list[str]:
    if table is None:
        return [""] * 4
    here = table[(table["stored"] == stored) & (table["pass"] == passed)]
    return [
        f"{here['max_difference'].max():.1e}",
        f"{here['median_in_se'].max():.2g}",
        f"{here['rank_correlation'].min():.5f}",
        str(int(here["top_100_kept"].min())),
    ]


def as_text(rows: list[list[str]]) -> str:
    """The table in Markdown."""
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [HEADING, ["---"] * len(HEADING), *rows])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="results/<run> of a finished run")
    parser.add_argument("checkpoints", nargs="+", help="folders of checkpoints within it")
    parser.add_argument("--conditions", nargs="+", default=["rare", "common"])
    arguments = parser.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    table = measured(arguments.run, arguments.checkpoints, arguments.conditions)
    print(as_text(support(table)))
    print(f"\nThe largest |mean dL| is {table['max_mean'].max():.0e} nats.")


if __name__ == "__main__":
    main()
