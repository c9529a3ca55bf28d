"""Batches of blocks that a model reads together, with hardly any work on padding.

Attention is causal, so tokens after a block's last row change nothing at its rows. Blocks are cut there and sorted by
their remaining length. The longest come first: a batch that does not fit the memory fails at once, and the time that a
progress bar predicts is too long rather than too short.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from rareneurons.tokens import Blocks


@dataclass(frozen=True, eq=False)
class Batch:
    """Some blocks, and the rows that lie in them.

    ``tokens`` int64 (blocks, positions): what the model reads. ``rows`` int64 (T,): indices of the rows, ascending.
    ``at``: the rows' places in the batch, as (block, position), int64 (T,) each.
    """

    tokens: torch.Tensor
    rows: np.ndarray
    at: tuple[torch.Tensor, torch.Tensor]


def batches_of_rows(blocks: Blocks, rows: pd.DataFrame, batch_size: int, device: torch.device) -> list[Batch]:
    """Batches in which each row lies once; what a caller collects must be put in the rows' order by ``Batch.rows``.

    Args:
        blocks: evaluation blocks.
        rows: rows at which the model's states are read (columns ``block``, ``position``), in any order.
        batch_size: blocks per batch.
        device: where the model reads the tokens.
    """
    needed, place = np.unique(rows["block"].to_numpy(), return_inverse=True)
    position = rows["position"].to_numpy()
    end = np.zeros(len(needed), dtype=np.int64)
    np.maximum.at(end, place, position + 1)
    order = np.argsort(-end, kind="stable")
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    found = []
    for first in range(0, len(needed), batch_size):
        mine = order[first : first + batch_size]
        tokens = blocks.tokens[needed[mine], : end[mine[0]]].astype(np.int64)
        inside = np.flatnonzero((rank[place] >= first) & (rank[place] < first + batch_size))
        block, where = (
            torch.from_numpy(each.astype(np.int64)).to(device)
            for each in (rank[place[inside]] - first, position[inside])
        )
        found.append(Batch(torch.from_numpy(tokens).to(device), inside, (block, where)))
    return found
