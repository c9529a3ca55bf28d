"""Effects of a tile of neurons on a tile of rows, and their sums by document."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch

from rareneurons.errors import CheckpointError
from rareneurons.influence.sums import InfluenceSums


@dataclass(frozen=True)
class PairCounts:
    """Number of (row, neuron) pairs per method: exact sum over the vocabulary, cubic or quartic series, or re-run."""

    exact: int = 0
    cubic: int = 0
    quartic: int = 0
    rerun: int = 0

    def __add__(self, other: "PairCounts") -> "PairCounts":
        """Sum of two tallies."""
        return PairCounts(
            self.exact + other.exact,
            self.cubic + other.cubic,
            self.quartic + other.quartic,
            self.rerun + other.rerun,
        )


@dataclass(frozen=True)
class DeltaLoss:
    """Effects of a tile of neurons on a tile of rows: ``values`` float64 (rows, neurons), in nats."""

    rows: slice
    neurons: slice
    values: torch.Tensor
    pairs: PairCounts


def tiles_of(n: int, size: int) -> list[slice]:
    """Slices of 0 ... n - 1 that hold ``size`` each, the last one perhaps fewer."""
    return [slice(first, min(first + size, n)) for first in range(0, n, size)]


def sum_by_document(
    tiles: Iterable[DeltaLoss],
    n_neurons: int,
    document: np.ndarray,
    masks: dict[str, np.ndarray],
    report_pairs: Callable[[PairCounts], None] = lambda pairs: None,
) -> dict[str, InfluenceSums]:
    """Add up tiles of effects by document, once per mask over the rows.

    Args:
        tiles: effects, as :func:`delta_loss_tiles` yields them.
        n_neurons: N.
        document: (T,) document id of each row.
        masks: name -> boolean (T,).
        report_pairs: receives each tile's pair counts.

    Returns:
        Name of the mask -> sums over the documents with a row in it.

    Raises:
        CheckpointError: an effect is NaN or infinite.
    """
    ids = {name: np.unique(document[mask]) for name, mask in masks.items()}
    signed = {name: torch.zeros(len(found), n_neurons, dtype=torch.float64) for name, found in ids.items()}
    absolute = {name: torch.zeros_like(sums) for name, sums in signed.items()}
    for tile in tiles:
        values = tile.values.cpu()
        if not torch.isfinite(values).all():
            bad = int((~torch.isfinite(values)).sum())
            raise CheckpointError(
                f"influence: {bad} effects of neurons {tile.neurons.start}-{tile.neurons.stop - 1} are NaN or "
                "infinite; nothing is written. Check the checkpoint's weights"
            )
        for name, mask in masks.items():
            here = np.flatnonzero(mask[tile.rows])
            place = torch.from_numpy(np.searchsorted(ids[name], document[tile.rows][here]))
            signed[name][:, tile.neurons].index_add_(0, place, values[here])
            absolute[name][:, tile.neurons].index_add_(0, place, values[here].abs())
        report_pairs(tile.pairs)
    return {
        name: InfluenceSums(
            found,
            np.bincount(np.searchsorted(found, document[masks[name]]), minlength=len(found)),
            signed[name].numpy(),
            absolute[name].numpy(),
        )
        for name, found in ids.items()
    }
