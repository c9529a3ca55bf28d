"""Groups of neurons drawn so that they resemble a given group on average, and are otherwise as varied as possible."""

from dataclasses import dataclass

import numpy as np

SOFTNESS = 0.03  # of the constraints on means of features, per neuron; of squares, twice as much
WIDTH = 0.04  # of a group's distance from its target, in standard deviations of a feature; of squares, twice as much
EXCHANGES = 20  # proposed per neuron of a group
MOST_EXCHANGES = 3000
NEWTON_STEPS = 100


def resembling_groups(
    members: np.ndarray, pool: np.ndarray, features: np.ndarray, n_groups: int, rng: np.random.Generator
) -> np.ndarray:
    """Groups from a pool whose features have the mean, and about the mean square, of a group's.

    Every neuron of the pool is drawn with its :func:`inclusion` probability. Then neurons of a group and of the rest of
    the pool are exchanged at random (Metropolis), so that each group by itself, and not only their average, comes near
    to the target, and all groups that do are about equally likely.

    If a group was chosen for these features alone, and the pool holds its neurons, it is as likely as any other draw.

    Args:
        members: (n,) the group.
        pool: (C,) the neurons that may be drawn; it may hold members.
        features: (N, F) standardised features of all neurons.
        n_groups: m.
        rng: draws the groups.

    Returns:
        (m, n) neuron indices in random order, without repeats within a group; (0, n) where the pool is smaller than
        the group.
    """
    n = len(members)
    if len(pool) < n:
        return np.empty((0, n), dtype=np.int64)
    terms = _Terms.of(features)
    chance = inclusion(members, pool, features)
    drawn = systematic_samples(chance, n_groups, rng)
    if len(pool) == n:
        return pool[drawn]
    return pool[_exchanged(drawn, terms.values[pool] / terms.width, chance, terms.values[members] / terms.width, rng)]


@dataclass(frozen=True)
class _Terms:
    """What is matched: features and their squares, ``values`` (N, 2 F), with the ``width`` (2 F,) of each."""

    values: np.ndarray
    width: np.ndarray

    @classmethod
    def of(cls, features: np.ndarray) -> "_Terms":
        width = np.repeat([1.0, 2.0], features.shape[1])
        return cls(np.column_stack([features, np.square(features)]), width)


def inclusion(members: np.ndarray, pool: np.ndarray, features: np.ndarray) -> np.ndarray:
    """Probabilities (C,) with which neurons of a pool are drawn, so that the draws resemble a group on average.

    Of all distributions over groups of n with given sums of features, the most varied one (largest entropy) includes
    neuron i with odds ``exp(a + b f_i)``, f its features and their squares (Hainmueller 2012, Political Analysis 20,
    25-46, with a bound of one per neuron; Chen, Dempster & Liu 1994, Biometrika 81, 457-469). The constraints are soft,
    so that there is an answer where no group of the pool resembles the members.

    Args:
        members: (n,) the group.
        pool: (C,) at least n.
        features: (N, F) standardised.

    Returns:
        Probabilities that sum to n.
    """
    n = len(members)
    if len(pool) == n:
        return np.ones(n)
    terms = _Terms.of(features)
    values = np.column_stack([np.ones(len(features)), terms.values])
    softness = np.concatenate([[0.0], SOFTNESS * n * terms.width])
    target, mine = values[members].sum(0), values[pool]
    slope = np.zeros(values.shape[1])
    slope[0] = np.log(n / (len(pool) - n))

    def loss(at: np.ndarray) -> float:
        return float(np.logaddexp(0, mine @ at).sum() - at @ target + softness @ np.square(at) / 2)

    now = loss(slope)
    for _ in range(NEWTON_STEPS):
        chance = np.exp(-np.logaddexp(0, -mine @ slope))
        gradient = mine.T @ chance - target + softness * slope
        curvature = (mine * (chance * (1 - chance))[:, None]).T @ mine + np.diag(softness + 1e-9)
        step = np.linalg.solve(curvature, gradient)
        while (after := loss(slope - step)) > now and np.abs(step).max() > 1e-12:
            step = step / 2
        slope, now = slope - step, after
        if np.abs(step).max() < 1e-10:
            break
    chance = np.exp(-np.logaddexp(0, -mine @ slope))
    return np.asarray(chance * n / chance.sum()).clip(0, 1)


def systematic_samples(chance: np.ndarray, n_samples: int, rng: np.random.Generator) -> np.ndarray:
    """Samples of one size in which each unit occurs with its probability (random order: Hartley & Rao 1962).

    Units are laid end to end in random order, each as long as its probability; a comb of step one picks the sample.

    Args:
        chance: (C,) probabilities that sum to an integer n.
        n_samples: S.
        rng: draws orders and places of the comb.

    Returns:
        Indices (S, n), without repeats within a sample.
    """
    n = round(float(chance.sum()))
    order = rng.permuted(np.tile(np.arange(len(chance)), (n_samples, 1)), axis=1)
    end = np.cumsum(chance[order], axis=1)
    end *= n / end[:, -1:]
    place = np.ceil(end - rng.random((n_samples, 1)))  # number of teeth up to the end of each unit
    picked = np.diff(place, axis=1, prepend=0) > 0
    return np.array([order[k, np.flatnonzero(picked[k])[:n]] for k in range(n_samples)], dtype=np.int64)


def _exchanged(
    drawn: np.ndarray, values: np.ndarray, chance: np.ndarray, members: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Groups after many random exchanges, as likely as ``exp(-d^2 / 2 WIDTH^2)`` at distance d from the target.

    The target is the members' mean or, in a term in which the pool's groups cannot reach it, what they have on average.

    Args:
        drawn: (m, n) places in the pool.
        values: (C, K) terms of the pool's neurons, over their width.
        chance: (C,) inclusion probabilities.
        members: (n, K) terms of the members, over their width.
        rng: proposes and accepts exchanges.
    """
    m, n = drawn.shape
    wanted, reached = members.mean(0), chance @ values / n
    target = np.where(np.abs(wanted - reached) < WIDTH, wanted, reached)
    everyone: np.ndarray = np.arange(m)
    outside = np.ones((m, len(values)), dtype=bool)
    np.put_along_axis(outside, drawn, np.array(False), axis=1)
    order: np.ndarray = np.argsort(outside, axis=1, kind="stable")  # the group first, then the others
    gap = values[drawn].mean(1) - target
    distance = np.square(gap).sum(1)
    for _ in range(min(EXCHANGES * n, MOST_EXCHANGES)):
        own, other = rng.integers(n, size=(m,)), rng.integers(n, len(values), size=(m,))
        leaves, comes = order[everyone, own], order[everyone, other]
        after = gap + (values.take(comes, axis=0) - values.take(leaves, axis=0)) / n
        farther = np.square(after).sum(1)
        worse = np.maximum(farther - distance, 0) / (2 * WIDTH**2)
        accepted = np.flatnonzero(rng.random(m) < np.exp(-worse))
        gap[accepted], distance[accepted] = after[accepted], farther[accepted]
        order[accepted, own[accepted]] = comes[accepted]
        order[accepted, other[accepted]] = leaves[accepted]
    return np.asarray(rng.permuted(order[:, :n], axis=1))
