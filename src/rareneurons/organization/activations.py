"""The activations of a layer as organization is measured on them, and their circular shifts."""

from collections.abc import Callable, Sequence

import numpy as np

from rareneurons.groups import SMALLEST_GROUP
from rareneurons.organization.information import bin_masks, binned, chosen_rows
from rareneurons.stats import correlation_matrix, document_weights


class LayerActivations:
    """Activations of all neurons on one condition's rows, with the correlations and bins that all groups share.

    Args:
        heldout: (T, N) activations on held-out rows, in the documents' order.
        document: (T,) document id of each held-out row.
        discovery: (T', N) activations on discovery rows.
    """

    def __init__(self, heldout: np.ndarray, document: np.ndarray, discovery: np.ndarray) -> None:
        self.heldout, self.discovery = heldout, discovery
        self.document = np.unique(document, return_inverse=True)[1]
        self.correlation = correlation_matrix(heldout)
        self.discovery_correlation = correlation_matrix(discovery)
        self.binned_rows = chosen_rows(len(heldout))
        self.bins = binned(heldout[self.binned_rows])
        self.masks = bin_masks(self.bins)

    def resampled(self, members: np.ndarray, number: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Bootstrap draws of held-out documents: weights (B, documents), correlations of the members (B, n, n)."""
        weights = document_weights(int(self.document.max()) + 1, number, rng)
        drawn = [correlation_matrix(self.heldout[:, members], draw[self.document]) for draw in weights]
        return weights, np.stack(drawn) if drawn else np.empty((0, len(members), len(members)))

    def why_unknown(self, members: np.ndarray) -> str:
        """Why a group (n,) cannot be measured on these activations; empty if it can."""
        if len(members) < SMALLEST_GROUP:
            return too_small(members)
        for split, values in (("held-out", self.heldout), ("discovery", self.discovery)):
            if len(values) < len(members):
                return f"{len(values)} {split} rows for {len(members)} neurons; at least as many are needed"
            constant = members[np.ptp(values[:, members], axis=0) == 0]
            if len(constant):
                return f"constant on {split} rows: neuron {', '.join(map(str, constant))}"
        return ""


def too_small(members: np.ndarray) -> str:
    """The reason why a group of fewer than ``SMALLEST_GROUP`` neurons is not measured."""
    return f"{len(members)} neurons, at least {SMALLEST_GROUP} are needed"


class Shifts:
    """The activations of a group after circular shifts: each neuron's rows are rotated by an offset of its own.

    Args:
        layer: activations of the whole layer.
        members: (n,) neuron indices of the group.
        number: number of shifts.
        rng: draws the offsets.
    """

    def __init__(self, layer: LayerActivations, members: np.ndarray, number: int, rng: np.random.Generator) -> None:
        shape = number, len(members)
        offsets = rng.integers(len(layer.heldout), size=shape)
        self.correlations = shifted_correlations(layer.heldout[:, members], offsets)
        # The bins are made on fewer rows, so their offsets are taken modulo that number of rows.
        self.bin_offsets = offsets % len(layer.bins)


def rotations(values: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Function of offsets (n,) that rolls each column of (T, n) down by its own offset, as ``numpy.roll``; (n, T)."""
    n_rows, n = values.shape
    doubled = np.concatenate([values.T, values.T], axis=1)
    windows = np.lib.stride_tricks.sliding_window_view(doubled, n_rows, axis=1)
    return lambda offset: windows[np.arange(n), n_rows - offset]


def shifted_correlations(activation: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Correlations (S, n, n) of activations (T, n) after each of S circular shifts (S, n)."""
    values = activation.astype(np.float64)
    centred = values - values.mean(0)
    with np.errstate(invalid="ignore", divide="ignore"):
        rotated = rotations(centred / np.linalg.norm(centred, axis=0))
    shifted = (rotated(offset) for offset in offsets)
    return np.stack([each @ each.T for each in shifted])


def subgraphs(correlation: np.ndarray, groups: Sequence[np.ndarray] | np.ndarray) -> np.ndarray:
    """Correlations (G, n, n) within each of G groups (n,), from those of the whole layer (N, N)."""
    index = np.stack(list(groups))
    return correlation[index[:, :, None], index[:, None, :]]
