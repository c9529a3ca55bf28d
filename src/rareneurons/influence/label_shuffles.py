"""Influence under other labels: which neurons the same rules would choose if the labels rare and common were random.

A row's label says whether it is in the first condition (rare), in the second (common), or in both. Exchanging labels
within documents keeps each document's number of rows of either label. It breaks only the relation between a row's token
and its label, so what neurons chosen with shuffled labels have in common cannot be due to the label.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

from rareneurons.influence.sums import InfluenceSums
from rareneurons.rows import labels_exchanged

if TYPE_CHECKING:  # the groups of a checkpoint are chosen without torch
    from rareneurons.influence.tiles import DeltaLoss


@dataclass(frozen=True)
class LabelledInfluence:
    """Influence of N neurons under S labellings of the same rows, each (S, N).

    ``mean`` and ``mean_abs``: mean of dL and of abs dL over rows of the first label, nats. ``excess``: mean dL over
    rows of the first label less that over rows of the second, in units of its standard error clustered by document; 0
    where the error is 0.
    """

    mean: np.ndarray
    mean_abs: np.ndarray
    excess: np.ndarray


@dataclass(frozen=True)
class LabelShuffles:
    """The excess under the rows' own labels, ``own_excess`` (N,), and influence under ``exchanged`` labels."""

    own_excess: np.ndarray
    exchanged: LabelledInfluence

    def arrays(self) -> dict[str, np.ndarray]:
        """Named float32 arrays, of which :meth:`from_arrays` makes the same again."""
        found = {field.name: getattr(self.exchanged, field.name) for field in fields(LabelledInfluence)}
        return {name: values.astype(np.float32) for name, values in (found | {"own_excess": self.own_excess}).items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> "LabelShuffles":
        """Inverse of :meth:`arrays`."""
        exchanged = LabelledInfluence(*(arrays[field.name] for field in fields(LabelledInfluence)))
        return cls(arrays["own_excess"], exchanged)


class EffectsAtRows:
    """Collects the effects at some rows as tiles come by.

    ``values``: float32 (rows, N), nats; rows in the order of the mask.
    """

    def __init__(self, mask: np.ndarray, n_neurons: int) -> None:
        """Of the rows of a boolean ``mask`` (T,)."""
        self._mask = mask
        self._place = np.cumsum(mask) - 1
        self.values = np.zeros((int(mask.sum()), n_neurons), dtype=np.float32)

    def add(self, tile: "DeltaLoss") -> None:
        """Keep what a tile says of the rows."""
        here = np.flatnonzero(self._mask[tile.rows])
        self.values[self._place[tile.rows][here], tile.neurons] = tile.values[here].cpu().numpy()


def label_shuffles(
    effects: np.ndarray, document: np.ndarray, labels: np.ndarray, n_shuffles: int, rng: np.random.Generator
) -> LabelShuffles:
    """Influence under the rows' own labels and under labels exchanged within documents.

    Args:
        effects: (T, N) dL of each neuron at each row, nats.
        document: (T,) document ids.
        labels: boolean (T, 2), whether a row is in the first and in the second condition.
        n_shuffles: number of random labellings.
        rng: exchanges the labels.
    """
    exchanged = np.stack([labels_exchanged(labels, document, rng) for _ in range(n_shuffles)])
    own = influence_of_labels(effects, document, labels[None])
    return LabelShuffles(own.excess[0], influence_of_labels(effects, document, exchanged))


def influence_of_labels(effects: np.ndarray, document: np.ndarray, labels: np.ndarray) -> LabelledInfluence:
    """Influence under each of S labellings, which give every document the same number of rows of either label.

    Args:
        effects: (T, N) dL of each neuron at each row, nats.
        document: (T,) document ids.
        labels: boolean (S, T, 2).
    """
    counts = labels[0].sum(0)
    # A document's part of the difference of two means, (S, N); its spread over documents is the error. With the means
    # m and the numbers of rows n known only at the end, sum (D - n_1 m_1 / n + n_2 m_2 / n)^2 is expanded.
    means = np.zeros((2, len(labels), effects.shape[1]))
    absolute, squares, with_first, with_second = np.zeros((4, *means.shape[1:]))
    share = np.zeros((len(np.unique(document)), 2))
    for place, rows in enumerate(_rows_by_document(document)):
        share[place] = labels[0][rows].sum(0) / counts
        values = effects[rows].astype(np.float64)
        parts = [labels[:, rows, k].astype(np.float64) @ values / counts[k] for k in range(2)]
        means += parts
        absolute += labels[:, rows, 0].astype(np.float64) @ np.abs(values) / counts[0]
        difference = parts[0] - parts[1]
        squares += np.square(difference)
        with_first += difference * share[place, 0]
        with_second += difference * share[place, 1]
    first, second = means
    gram = share.T @ share
    spread = squares - 2 * (with_first * first - with_second * second)
    spread += gram[0, 0] * first**2 - 2 * gram[0, 1] * first * second + gram[1, 1] * second**2
    return LabelledInfluence(first, absolute, _in_errors(first - second, spread, len(share)))


def _rows_by_document(document: np.ndarray) -> list[np.ndarray]:
    order = np.argsort(document, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(document[order])) + 1)


def _in_errors(difference: np.ndarray, spread: np.ndarray, n_documents: float) -> np.ndarray:
    """A difference over its clustered error ``sqrt(D / (D - 1) spread)``; 0 where that is 0 or a single document's."""
    error = np.sqrt(np.clip(spread, 0, None) * n_documents / max(n_documents - 1, 1))
    return np.divide(difference, error, out=np.zeros_like(difference), where=error > 0)


def excess_of_draws(first: InfluenceSums, second: InfluenceSums, weights: np.ndarray) -> np.ndarray:
    """The excess of each bootstrap draw of documents, (B, N).

    Args:
        first: effects on rows of the first condition, by document or block of documents.
        second: on rows of the second, by the same documents or blocks.
        weights: (B, documents) how often each occurs in each draw.
    """
    found = np.empty((len(weights), first.signed.shape[1]))
    for draw, weight in enumerate(weights):
        difference, parts = np.zeros(found.shape[1]), np.zeros(first.signed.shape)
        for sign, sums in ((1, first), (-1, second)):
            n_rows = weight @ sums.n_rows
            mean = weight @ sums.signed / n_rows
            difference = difference + sign * mean
            parts = parts + sign * (sums.signed - sums.n_rows[:, None] * mean) / n_rows
        found[draw] = _in_errors(difference, weight @ np.square(parts), weight.sum())
    return found
