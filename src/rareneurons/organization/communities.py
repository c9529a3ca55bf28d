"""Communities of many signed graphs at once: modularity, consensus partitions, silhouette, agreement.

Every function takes a stack of graphs of one size. Thousands of control groups are searched together with the measured
group, in the same way: one step of the search moves one node in each graph.
"""

from collections.abc import Sequence

import numpy as np

SMALLEST_GAIN = 1e-9  # gains below this are rounding
MOST_SWEEPS = 100
ELEMENTS_PER_CHUNK = 500_000  # of the search's tables, so that they stay in the processor's cache


def modularity_matrix(weights: np.ndarray, resolution: float = 1.0) -> np.ndarray:
    """Gain in signed modularity if two nodes share a community (Gomez, Jensen & Arenas 2009, PRE 80, 016114).

    Positive links count for a common community and negative ones against it. From each, its expectation given the
    nodes' strengths of that sign is subtracted. All is divided by the total strength of both signs, so that the sum
    over pairs inside communities is eq. 14.

    Args:
        weights: symmetric (G, n, n); the diagonal is ignored.
        resolution: factor of the expectation (Reichardt & Bornholdt 2006).

    Returns:
        (G, n, n); zero for a graph without links.
    """
    total = np.zeros((len(weights), 1, 1))
    expected = np.zeros(weights.shape)
    off = without_diagonal(weights)
    for sign in (1, -1):
        strength = np.clip(sign * off, 0, None).sum(2)
        doubled = strength.sum(1)[:, None, None]
        product = strength[:, :, None] * strength[:, None, :]
        expected += sign * np.divide(product, doubled, out=np.zeros_like(product), where=doubled > 0)
        total += doubled
    gain = off - resolution * expected
    return np.divide(gain, total, out=np.zeros_like(gain), where=total > 0)


def without_diagonal(matrices: np.ndarray) -> np.ndarray:
    """A copy of (G, n, n) with zeros on the diagonals."""
    n = matrices.shape[-1]
    return np.where(np.eye(n, dtype=bool), 0.0, matrices)


def signed_modularity(weights: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Signed modularity (G,) of the partitions ``labels`` (G, n) of graphs (G, n, n), at resolution 1."""
    return _inside(modularity_matrix(weights), labels)


def _inside(gain: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Sum (G,) of (G, n, n) over pairs that share a community."""
    return np.einsum("gij,gij->g", gain, labels[:, :, None] == labels[:, None, :])


def best_partitions(gain: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Partitions with a large sum of ``gain`` inside communities: Louvain's search (Blondel et al. 2008).

    Each node moves to the community with the largest gain, until no move gains. Communities then become nodes, until
    none merge.

    Args:
        gain: symmetric (M, n, n), of either sign; the diagonal is ignored.
        order: (M, n) the order in which nodes are tried.

    Returns:
        Community labels (M, n), consecutive from 0.
    """
    labels = _without_gaps(_moved(without_diagonal(gain), order))
    while True:
        n_communities = int(labels.max()) + 1
        members = one_hot(labels, n_communities)
        merged = _without_gaps(
            _moved(
                without_diagonal(members.transpose(0, 2, 1) @ gain @ members),
                np.broadcast_to(np.arange(n_communities), (len(gain), n_communities)),
            )
        )
        together = np.take_along_axis(merged, labels, axis=1)
        coarser = _without_gaps(together)
        if (coarser.max(1) == labels.max(1)).all():
            return labels
        labels = coarser


def _moved(gain: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Labels (M, n) after moving single nodes until no move gains. Each node starts in its own community."""
    n_graphs, n = order.shape
    labels = np.tile(np.arange(n), (n_graphs, 1))
    # attraction[m, k, i]: gain of node i in community k. The diagonal is zero, so that no node attracts itself.
    attraction = gain.copy()
    active = np.arange(n_graphs)
    for _ in range(MOST_SWEEPS):
        changed = np.zeros(len(active), dtype=bool)
        for turn in range(n):
            node = order[active, turn]
            offered = attraction[active, :, node]
            best = offered.argmax(1)
            here = labels[active, node]
            places = np.arange(len(active))
            mover = np.flatnonzero(offered[places, best] > offered[places, here] + SMALLEST_GAIN)
            if not len(mover):
                continue
            graph, moving = active[mover], node[mover]
            carried = gain[graph, moving]
            attraction[graph, here[mover]] -= carried
            attraction[graph, best[mover]] += carried
            labels[graph, moving] = best[mover]
            changed[mover] = True
        active = active[changed]
        if not len(active):
            break
    return labels


def _without_gaps(labels: np.ndarray) -> np.ndarray:
    present = np.zeros((len(labels), int(labels.max()) + 1), dtype=bool)
    np.put_along_axis(present, labels, True, axis=1)
    return np.take_along_axis(present.cumsum(1) - 1, labels, axis=1)


def one_hot(labels: np.ndarray, n_communities: int) -> np.ndarray:
    """Float64 (G, n, n_communities): 1 where a node has that label."""
    return (labels[:, :, None] == np.arange(n_communities)).astype(float)


def consensus_partitions(
    weights: np.ndarray, seeds: int, resolutions: Sequence[float], rng: np.random.Generator
) -> np.ndarray:
    """The consensus of each graph's searches over seeds and resolutions.

    Every seed (an order of the nodes, the same for all graphs) and resolution gives a partition. The consensus is the
    median partition (Goder & Filkov 2008). Its gain of a pair is the share of searches that put the pair together,
    less one half; it is maximised by the same search.

    Args:
        weights: (G, n, n) symmetric, finite; the diagonal is ignored.
        seeds: number of orders tried at each resolution.
        resolutions: factors of the expectation in modularity.
        rng: draws the orders.

    Returns:
        Community labels (G, n).
    """
    n = weights.shape[1]
    orders = rng.permuted(np.tile(np.arange(n), (seeds, 1)), axis=1)
    per_chunk = max(1, ELEMENTS_PER_CHUNK // (n * n * seeds * len(resolutions)))
    return np.concatenate(
        [
            _consensus(weights[first : first + per_chunk], orders, resolutions)
            for first in range(0, len(weights), per_chunk)
        ]
    )


def _consensus(weights: np.ndarray, orders: np.ndarray, resolutions: Sequence[float]) -> np.ndarray:
    n_graphs, seeds = len(weights), len(orders)
    gain = np.concatenate([np.repeat(modularity_matrix(weights, r), seeds, axis=0) for r in resolutions])
    runs = best_partitions(gain, np.tile(orders, (n_graphs * len(resolutions), 1)))
    runs = runs.reshape(len(resolutions), n_graphs, seeds, -1)
    together = np.zeros(weights.shape)
    for resolution in range(len(resolutions)):
        for seed in range(seeds):
            labels = runs[resolution, :, seed]
            together += labels[:, :, None] == labels[:, None, :]
    share = together / (len(resolutions) * seeds)
    return best_partitions(share - 0.5, np.tile(orders[:1], (n_graphs, 1)))


def clearest_partitions(weights: np.ndarray, seeds: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The partition of each graph with the highest signed modularity among several searches at resolution 1.

    Args:
        weights: (G, n, n) symmetric, finite; the diagonal is ignored.
        seeds: number of orders of the nodes tried, the same for all graphs.
        rng: draws the orders.

    Returns:
        Community labels (G, n), and their modularity (G,).
    """
    n_graphs, n = weights.shape[:2]
    orders = rng.permuted(np.tile(np.arange(n), (seeds, 1)), axis=1)
    labels, modularity = np.zeros((n_graphs, n), dtype=np.int64), np.zeros(n_graphs)
    per_chunk = max(1, ELEMENTS_PER_CHUNK // (n * n * seeds))
    for first in range(0, n_graphs, per_chunk):
        here = slice(first, first + per_chunk)
        gain = modularity_matrix(weights[here])
        runs = best_partitions(np.repeat(gain, seeds, axis=0), np.tile(orders, (len(gain), 1)))
        runs = runs.reshape(len(gain), seeds, n)
        quality = np.stack([_inside(gain, runs[:, seed]) for seed in range(seeds)], axis=1)
        best = quality.argmax(1)
        labels[here], modularity[here] = runs[np.arange(len(gain)), best], quality.max(1)
    return labels, modularity


def silhouettes(distance: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Mean silhouette (G,) of partitions (G, n) under distances (G, n, n) (Rousseeuw 1987).

    A node that is alone in its community counts as 0. NaN where all nodes share one community.
    """
    n_communities = int(labels.max()) + 1
    members = one_hot(labels, n_communities)
    size = members.sum(1)[:, None, :]
    total = without_diagonal(distance) @ members
    own_size = (members * size).sum(2)
    inside = np.divide((total * members).sum(2), own_size - 1, out=np.zeros(own_size.shape), where=own_size > 1)
    mean = np.divide(total, size, out=np.full(total.shape, np.inf), where=(size > 0) & (members == 0))
    outside = mean.min(2)
    widest = np.maximum(inside, outside)
    with np.errstate(invalid="ignore"):
        width = np.where((own_size > 1) & (widest > 0), (outside - inside) / widest, 0.0)
    return np.where(labels.max(1) > 0, width.mean(1), np.nan)


def partition_agreement(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Adjusted Rand index (G,) of two partitions (G, n) each (Hubert & Arabie 1985).

    It is 1 if both partitions put all nodes together, or both put each node alone.
    """
    table = one_hot(first, int(first.max()) + 1).transpose(0, 2, 1) @ one_hot(second, int(second.max()) + 1)
    both = _pairs(table).sum((1, 2))
    ones, twos = _pairs(table.sum(2)).sum(1), _pairs(table.sum(1)).sum(1)
    chance = ones * twos / (first.shape[1] * (first.shape[1] - 1) / 2)
    largest = (ones + twos) / 2
    room = largest - chance
    return np.divide(both - chance, room, out=np.ones(len(room)), where=room > 0)


def _pairs(count: np.ndarray) -> np.ndarray:
    return count * (count - 1) / 2
