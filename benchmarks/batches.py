"""Tokens that a model reads, and seconds of its passes, in sorted and cut batches and in those of whole blocks.

``python benchmarks/batches.py results/demo/inputs/rows/docstrings-4096`` counts the tokens of a run's rows:

* ``padded``: blocks in the documents' order, each batch as long as its longest block
* ``trace``: sorted batches that end with the last evaluated position, over which references are averaged
* ``rows``: sorted batches that end with the last selected row, as ablations by re-run need them

With ``--shape``, a model of that shape with random weights reads the documents of ``--documents``, all three kinds of
batches in turn.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from influence import SHAPES, random_model

from rareneurons.batches import batches_of_rows
from rareneurons.rows import evaluated_rows
from rareneurons.tokens import Blocks

REPEATS = 3


def padded_batches(blocks: Blocks, rows: pd.DataFrame, batch_size: int) -> list[torch.Tensor]:
    """Tokens of batches in the blocks' order, up to the last token of the longest block of each."""
    needed = np.unique(rows["block"])
    starts = range(0, len(needed), batch_size)
    batches = [needed[first : first + batch_size] for first in starts]
    return [torch.from_numpy(blocks.tokens[batch, : blocks.length[batch].max()].astype(np.int64)) for batch in batches]


def batches_by_kind(blocks: Blocks, rows: pd.DataFrame, batch_size: int) -> dict[str, list[torch.Tensor]]:
    """Tokens of the three kinds of batches."""
    found = {"padded": padded_batches(blocks, rows, batch_size)}
    for name, ends in (("trace", evaluated_rows(blocks, rows)), ("rows", rows)):
        batches = batches_of_rows(blocks, ends, batch_size, torch.device("cpu"))
        found[name] = [batch.tokens for batch in batches]
    return found


def count_tokens(batches: dict[str, list[torch.Tensor]]) -> pd.DataFrame:
    """Number of batches and tokens of each kind, and the tokens as a share of the padded ones."""
    tokens = {name: sum(each.numel() for each in found) for name, found in batches.items()}
    return pd.DataFrame(
        {
            "batches": {name: len(found) for name, found in batches.items()},
            "tokens": tokens,
            "share": {name: number / tokens["padded"] for name, number in tokens.items()},
        }
    )


@torch.inference_mode()
def seconds(batches: dict[str, list[torch.Tensor]], shape: str) -> pd.Series:
    """Processor seconds of a pass over all batches of each kind, the median of a few turns."""
    torch.manual_seed(0)
    model = random_model(**SHAPES[shape]).eval().base_model
    found: dict[str, list[float]] = {name: [] for name in batches}
    for _ in range(REPEATS):
        for name, each in batches.items():
            started = time.process_time()
            for tokens in each:
                model(input_ids=tokens % SHAPES[shape]["vocabulary"], use_cache=False)
            found[name].append(time.process_time() - started)
    return pd.Series({name: float(np.median(times)) for name, times in found.items()})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="holds a run's blocks.npz and rows.parquet")
    parser.add_argument("--batch-size", type=int, default=8, help="blocks per batch")
    parser.add_argument("--shape", choices=SHAPES)
    parser.add_argument("--documents", type=int, default=48, help="documents that the model of --shape reads")
    arguments = parser.parse_args()
    with np.load(arguments.folder / "blocks.npz") as arrays:
        blocks = Blocks(arrays["tokens"], arrays["length"], arrays["document"])
    rows = pd.read_parquet(arguments.folder / "rows.parquet")
    batches = batches_by_kind(blocks, rows, arguments.batch_size)
    print(f"{rows['block'].nunique()} documents, {len(rows)} rows")
    print(count_tokens(batches).to_string(float_format="%.3f"))
    if arguments.shape:
        torch.set_num_threads(1)
        drawn = np.random.default_rng(0).permutation(rows["block"].unique())[: arguments.documents]
        few = batches_by_kind(blocks, rows[rows["block"].isin(drawn)], arguments.batch_size)
        table = count_tokens(few)
        table["seconds"] = seconds(few, arguments.shape)
        table["share of seconds"] = table["seconds"] / table.loc["padded", "seconds"]
        print(f"{len(drawn)} documents, {arguments.shape}, processor seconds on one thread")
        print(table.to_string(float_format="%.3f"))


if __name__ == "__main__":
    main()
