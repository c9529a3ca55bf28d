"""Where attention is measured: the rows, their blocks in batches, and what a model computes there without ablation."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import numpy as np
import pandas as pd
import torch
from torch import nn

from rareneurons.batches import Batch, batches_of_rows
from rareneurons.models.architectures import Architecture
from rareneurons.rows import evaluated_rows
from rareneurons.tokens import Blocks
from rareneurons.trace import Recorder

Advance = Callable[[int], object]  # called with the number of layer evaluations since its last call
# Mean head outputs by layer (width,), and standard deviations (N,) of the last MLP's neurons.
References = tuple[dict[int, torch.Tensor], torch.Tensor]
Progress = Callable[[str, int], AbstractContextManager[Advance]]  # of what, and how many layer evaluations in all


@contextmanager
def silent(_what: str, _total: int) -> Iterator[Advance]:
    """Progress that nobody sees."""
    yield lambda _amount: None


class RowReader:
    """The rows at which effects are read, and the model that is run over their blocks."""

    def __init__(self, architecture: Architecture, blocks: Blocks, rows: pd.DataFrame, batch_size: int) -> None:
        self.architecture, self.device = architecture, architecture.device
        self.target = torch.from_numpy(rows["target"].to_numpy().astype(np.int64)).to(self.device)
        self.batches = batches_of_rows(blocks, rows, batch_size, self.device)
        evaluated = evaluated_rows(blocks, rows)
        self.is_row = torch.from_numpy(evaluated["row"].to_numpy() >= 0).to(self.device)
        self.evaluated_batches = batches_of_rows(blocks, evaluated, batch_size, self.device)

    @property
    def n_blocks(self) -> int:
        """Number of blocks that hold a row."""
        return sum(len(batch.tokens) for batch in self.batches)

    def run(self, batch: Batch, modules: dict[str, nn.Module]) -> dict[str, torch.Tensor]:
        """Inputs (blocks, positions, width) of modules in a whole pass over a batch of blocks."""
        with Recorder(modules) as recorder:
            self.architecture.base(input_ids=batch.tokens, use_cache=False)
        return recorder.inputs


@torch.no_grad()
def mean_head_outputs(rows: RowReader, advance: Advance) -> References:
    """What mean ablation replaces outputs with, and the unit of effect of each neuron.

    Args:
        rows: where to read.
        advance: called with the layer evaluations of each batch.

    Returns:
        Layer -> (width,), mean input of the attention's output projection over all evaluated positions. Standard
        deviations (N,) of the last MLP's neurons over the rows.
    """
    architecture = rows.architecture
    outputs = {str(layer): architecture.attention_output(layer) for layer in range(architecture.n_layers)}
    last_mlp = {"mlp": architecture.mlp_output(architecture.n_layers - 1)}
    sums: dict[str, torch.Tensor] = {}
    clean = []
    for batch in rows.evaluated_batches:
        recorded = rows.run(batch, outputs | last_mlp)
        for name in outputs:
            sums[name] = sums.get(name, 0) + recorded[name][batch.at].sum(0)
        clean.append(recorded["mlp"][batch.at][rows.is_row[batch.rows]])
        advance(len(batch.tokens) * architecture.n_layers)
    deviation = torch.cat(clean).std(0, correction=0)
    return {int(name): total / len(rows.is_row) for name, total in sums.items()}, deviation
