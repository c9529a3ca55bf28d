"""A second look at the blocks of examples: activation and change of loss at every token of a window around a row."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import torch

from rareneurons.batches import Batch, batches_of_rows
from rareneurons.influence.at_rows import effects_at_rows
from rareneurons.models.architectures import Architecture
from rareneurons.models.last_layer import LastLayer
from rareneurons.tokens import Blocks
from rareneurons.trace import Recorder

BEFORE, AFTER = 24, 8  # tokens of a window before and after the row's own


@dataclass(frozen=True)
class Ablation:
    """How neurons are ablated.

    ``layer``: the last layer, on the device of the arithmetic; ``reference`` (N,): what replaces activations;
    ``tolerance`` (nats) and ``memory_bytes`` as for :func:`effects_at_rows`.
    """

    layer: LastLayer
    reference: np.ndarray
    tolerance: float = 1e-5
    memory_bytes: int = 2 * 1024**3

    def effects(
        self, residual: np.ndarray, activation: np.ndarray, target: np.ndarray, neurons: np.ndarray
    ) -> np.ndarray:
        """Change of loss (T, n), as :func:`effects_at_rows` returns it."""
        return effects_at_rows(
            self.layer, residual, activation, self.reference, target, neurons, self.tolerance, self.memory_bytes
        )


@dataclass(frozen=True)
class Windows:
    """Windows around E rows: ``start`` int64 (E,), the first position; one array per window of what is there.

    ``tokens`` int32; ``activation`` float32; ``delta_loss`` float32, the change of the next token's loss in nats, NaN
    at a document's last token.
    """

    start: np.ndarray
    tokens: list[np.ndarray] = field(default_factory=list)
    activation: list[np.ndarray] = field(default_factory=list)
    delta_loss: list[np.ndarray] = field(default_factory=list)


@torch.inference_mode()
def windows_around(
    architecture: Architecture,
    ablation: Ablation,
    blocks: Blocks,
    examples: pd.DataFrame,
    batch_size: int,
    progress: Callable[[Iterable[Batch]], Iterable[Batch]] = iter,
) -> Windows:
    """Run the model over the blocks of some rows, and look at one neuron around each row.

    Args:
        architecture: an open checkpoint.
        ablation: of its last layer.
        blocks: evaluation blocks.
        examples: E rows, each with a ``block``, a ``position`` and a ``neuron`` of the last MLP.
        batch_size: blocks per forward pass.
        progress: wraps the loop over batches.

    Returns:
        The windows in the order of ``examples``. A window ends with the document.
    """
    block, position, neuron_of = (examples[name].to_numpy() for name in ("block", "position", "neuron"))
    start = np.maximum(0, position - BEFORE)
    end = np.minimum(blocks.length[block], position + AFTER + 1)
    read = _positions(block, start, end)
    modules = {"activation": architecture.mlp_output(architecture.n_layers - 1)}
    modules["residual"] = architecture.final_norm_module
    seen: dict[int, tuple[np.ndarray, np.ndarray]] = {}  # example -> activation and change of loss
    for batch in progress(batches_of_rows(blocks, read, batch_size, architecture.device)):
        with Recorder(modules) as recorder:
            architecture.base(input_ids=batch.tokens, use_cache=False)
        activation, residual = (recorder.inputs[name][batch.at].float().cpu().numpy() for name in modules)
        here = read.iloc[batch.rows].reset_index(drop=True)
        mine = np.flatnonzero(np.isin(block, here["block"].unique()))
        neurons = np.unique(neuron_of[mine])
        effects = ablation.effects(residual, activation, _next_tokens(blocks, here), neurons)
        effects[here["position"].to_numpy() + 1 >= blocks.length[here["block"].to_numpy()]] = np.nan
        longest = blocks.tokens.shape[1]
        place = here["block"].to_numpy() * longest + here["position"].to_numpy()  # ascending
        first = np.searchsorted(place, block[mine] * longest + start[mine])
        for example, row in zip(mine.tolist(), first.tolist(), strict=True):
            rows = slice(row, row + end[example] - start[example])
            neuron = neuron_of[example]
            seen[example] = activation[rows, neuron].copy(), effects[rows, np.searchsorted(neurons, neuron)]
    return Windows(
        start,
        [blocks.tokens[b, first:last] for b, first, last in zip(block, start, end, strict=True)],
        [seen[example][0] for example in range(len(examples))],
        [seen[example][1].astype(np.float32) for example in range(len(examples))],
    )


def _positions(block: np.ndarray, start: np.ndarray, end: np.ndarray) -> pd.DataFrame:
    """Positions of all windows, each once, in block and position order."""
    length = end - start
    position = np.arange(length.sum()) - np.repeat(np.cumsum(length) - length, length) + np.repeat(start, length)
    every = pd.DataFrame({"block": np.repeat(block, length), "position": position})
    return every.drop_duplicates().sort_values(["block", "position"]).reset_index(drop=True)


def _next_tokens(blocks: Blocks, rows: pd.DataFrame) -> np.ndarray:
    """Token after each row; any token for a block's last position."""
    after = np.minimum(rows["position"].to_numpy() + 1, blocks.tokens.shape[1] - 1)
    return blocks.tokens[rows["block"].to_numpy(), after]
