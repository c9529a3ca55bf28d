"""Search for the rows at which a neuron's activation or effect is most extreme, at most one row per document."""

from dataclasses import dataclass

import numpy as np

HIGHEST, LOWEST, HELPS, HURTS = "highest_activation", "lowest_activation", "helps_most", "hurts_most"
KINDS = (HIGHEST, LOWEST, HELPS, HURTS)


@dataclass(frozen=True)
class Found:
    """Examples of neurons, one entry each: ``neuron``, a place among the columns searched; ``rank`` from 1; ``row``."""

    neuron: np.ndarray
    rank: np.ndarray
    row: np.ndarray


def most_extreme(values: np.ndarray, document: np.ndarray, top: int) -> Found:
    """The rows with the largest positive values of each neuron, at most one per document.

    Neighbouring rows of one document show nearly the same text, so a document is represented by its largest value. Of
    equal values, the first row counts.

    Args:
        values: (T, n) finite numbers.
        document: (T,) document of each row; the rows of a document follow one another.
        top: examples per neuron, at most.

    Returns:
        Examples by neuron and rank. A neuron that is positive in fewer documents has fewer.
    """
    starts = np.flatnonzero(np.r_[True, document[1:] != document[:-1]]) if len(document) else np.empty(0, dtype=int)
    if not len(starts):
        return Found(*(np.empty(0, dtype=np.int64) for _ in range(3)))
    best = np.maximum.reduceat(values, starts, axis=0)
    chosen = np.argsort(-best, axis=0, kind="stable")[:top]
    rank, neuron = np.nonzero(np.take_along_axis(best, chosen, axis=0) > 0)
    order = np.lexsort((rank, neuron))
    rank, neuron = rank[order], neuron[order]
    place = chosen[rank, neuron]
    ends = np.r_[starts[1:], len(document)]
    rows = [
        first + int(np.argmax(values[first:end, mine]))
        for first, end, mine in zip(starts[place], ends[place], neuron, strict=True)
    ]
    return Found(neuron, rank + 1, np.asarray(rows, dtype=np.int64))


def searched(activation: np.ndarray, delta_loss: np.ndarray, document: np.ndarray, top: int) -> dict[str, Found]:
    """Examples of each kind in ``KINDS``.

    Args:
        activation: (T, n) activations.
        delta_loss: (T, n) change of loss when the neuron is ablated, nats; positive where the neuron helps.
        document: (T,) as for :func:`most_extreme`.
        top: examples per neuron and kind, at most.
    """
    values = {HIGHEST: activation, LOWEST: -activation, HELPS: delta_loss, HURTS: -delta_loss}
    return {kind: most_extreme(values[kind], document, top) for kind in KINDS}
