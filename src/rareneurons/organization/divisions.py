"""Does a group divide into discrete clusters? Divisions found on discovery rows and scored on held-out rows.

A factor that all neurons share hides a division, so it is taken out of each group first. A division's ``separation`` is
the mean correlation of two neurons of the same community minus that of two neurons of different ones, on documents
other than those on which the division was found. Neurons with several components in common can always be divided. A
division is discrete only if it is clearer than those of *rotated* neurons: random orthogonal mixtures of the group's
neurons, which have the same components, as strong and as stable from document to document, but in directions that are
unrelated to single neurons. Mixtures vary more than neurons in how much they have in common, which lowers correlations;
the null is scaled to correct for this (:func:`null_scale`).
"""

from dataclasses import dataclass

import numpy as np

from rareneurons.organization.communities import clearest_partitions, one_hot
from rareneurons.stats import NORMAL_95

DOMINANT = 2.0  # a first component this many times as strong as the second is a common factor
BLOCKS = 3  # of a planted division
WEAKEST_PLANT = 0.05  # correlation within planted blocks, at least
STRONGEST_PLANT = 0.95
PLANT_ALPHA = 0.05  # largest p at which a planted division counts as found
ROTATIONS_PER_PLANT = 4  # the nulls of all plants are pooled
ROTATIONS_IN_DRAWS = 16  # the mean over all rotations is taken to move between draws as that over these does
LARGEST_SCALE = 1.5
LEAST_VARIANCE = 1e-12


@dataclass(frozen=True)
class Divisions:
    """Divisions of G groups of n neurons, found on discovery rows.

    ``left`` (G, n, n): matrix that turns standardised activations into what the common factor leaves of them, of unit
    variance on discovery rows. ``empty`` (G, n): unit vector of the mixture of these that has no variance any more,
    zero where no factor is taken out. ``factor`` (G,): the factor's share of the variance, zero where none is taken
    out. ``labels`` (G, n): communities.
    """

    left: np.ndarray
    empty: np.ndarray
    factor: np.ndarray
    labels: np.ndarray

    def residual(self, correlation: np.ndarray) -> np.ndarray:
        """Correlations (G, n, n) of what the factor leaves, from those of the activations, (G, n, n) or (n, n)."""
        return as_correlation(self.left @ correlation @ self.left.transpose(0, 2, 1))

    def separation(self, correlation: np.ndarray) -> np.ndarray:
        """Mean correlation within communities minus that between them, (G,), of what the factor leaves.

        Args:
            correlation: (G, n, n) or (n, n), of the activations on held-out rows. Those of one group may be many.

        Returns:
            Zero where there are no two communities, or no two neurons in one.
        """
        residual = self.residual(correlation)
        n = self.labels.shape[1]
        members = one_hot(self.labels, int(self.labels.max()) + 1)
        inside = ((residual @ members) * members).sum((1, 2)) - n
        outside = residual.sum((1, 2)) - n - inside
        n_inside = np.square(members.sum(1)).sum(1) - n
        n_outside = n * n - n - n_inside
        divided = (n_inside > 0) & (n_outside > 0)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(divided, inside / n_inside - outside / n_outside, 0.0)

    def only(self, index: np.ndarray | slice) -> "Divisions":
        """Some of the divisions."""
        return Divisions(self.left[index], self.empty[index], self.factor[index], self.labels[index])


def as_correlation(covariance: np.ndarray) -> np.ndarray:
    """Correlations (G, n, n) of covariances (G, n, n)."""
    deviation = np.sqrt(np.maximum(np.einsum("gii->gi", covariance), LEAST_VARIANCE))
    return covariance / deviation[:, :, None] / deviation[:, None, :]


def divide(correlation: np.ndarray, seeds: int, rng: np.random.Generator) -> Divisions:
    """The clearest division of each group on discovery rows, with its first component taken out if that is a factor.

    It is one if it is ``DOMINANT`` times as strong as the second component, or if the division is clearer without it
    (higher signed modularity). Where neurons share no factor, the first component belongs to the division itself, and
    to take it out would blur what is looked for.

    Args:
        correlation: (G, n, n) of the activations on discovery rows.
        seeds: number of orders of the neurons tried.
        rng: draws the orders.
    """
    strength, vectors = np.linalg.eigh(correlation)
    first = strength[:, -1], vectors[:, :, -1]
    found, clarity = _divide(correlation, *first, seeds, rng)
    unclear = np.flatnonzero(strength[:, -1] < DOMINANT * strength[:, -2])
    if not len(unclear):
        return found
    nothing = np.zeros(len(unclear)), np.zeros((len(unclear), correlation.shape[1]))
    whole, clarity_of_whole = _divide(correlation[unclear], *nothing, seeds, rng)
    better = clarity_of_whole > clarity[unclear]
    for name, values in vars(found).items():
        values[unclear[better]] = getattr(whole, name)[better]
    return found


def _divide(
    correlation: np.ndarray, strength: np.ndarray, direction: np.ndarray, seeds: int, rng: np.random.Generator
) -> tuple[Divisions, np.ndarray]:
    """Divisions without a component of given strength (G,) and direction (G, n), and their modularity (G,)."""
    left, spread = _without(strength, direction)
    labels, clarity = clearest_partitions(as_correlation(left @ correlation @ left.transpose(0, 2, 1)), seeds, rng)
    empty = direction * spread
    length = np.linalg.norm(empty, axis=1, keepdims=True)
    empty = np.divide(empty, length, out=np.zeros_like(empty), where=length > 0)
    return Divisions(left, empty, strength / correlation.shape[1], labels), clarity


def _without(strength: np.ndarray, direction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Matrix (G, n, n) that takes a component out and scales to unit variance, and the scales (G, n)."""
    spread = np.sqrt(np.maximum(1 - strength[:, None] * np.square(direction), LEAST_VARIANCE))
    projection = np.eye(direction.shape[1]) - direction[:, :, None] * direction[:, None, :]
    return projection / spread[:, :, None], spread


def rotated(
    divisions: Divisions, correlation: np.ndarray, each: int, seeds: int, rng: np.random.Generator
) -> Divisions:
    """Divisions of random mixtures of each group's neurons, after the common factor is taken out.

    Args:
        divisions: of G groups.
        correlation: (G, n, n) of the activations on discovery rows.
        each: number of rotations per group.
        seeds: number of orders of the neurons tried.
        rng: draws rotations (uniform over all that leave ``empty`` as it is) and orders.

    Returns:
        ``each`` divisions for the first group, then for the second, and so on.
    """
    empty = np.repeat(divisions.empty, each, axis=0)
    left = random_rotations(empty, rng) @ np.repeat(divisions.left, each, axis=0)
    graphs = as_correlation(left @ np.repeat(correlation, each, axis=0) @ left.transpose(0, 2, 1))
    labels, _ = clearest_partitions(graphs, seeds, rng)
    return Divisions(left, empty, np.repeat(divisions.factor, each), labels)


def random_rotations(fixed: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Orthogonal matrices (M, n, n), uniform among those that leave ``fixed`` (M, n) as it is.

    Each is a uniform one (Mezzadri 2007), followed by the reflection that moves the vector back to its place.

    Args:
        fixed: unit vectors, or zero where nothing has to stay.
        rng: draws normal numbers.
    """
    n = fixed.shape[1]
    orthogonal, upper = np.linalg.qr(rng.normal(size=(len(fixed), n, n)))
    orthogonal = orthogonal * np.sign(np.einsum("gii->gi", upper))[:, None, :]
    moved = np.einsum("gij,gj->gi", orthogonal, fixed) - fixed
    length = np.linalg.norm(moved, axis=1, keepdims=True)
    mirror = np.divide(moved, length, out=np.zeros_like(moved), where=length > 0)
    return orthogonal - 2 * mirror[:, :, None] * np.einsum("gi,gij->gj", mirror, orthogonal)[:, None, :]


@dataclass(frozen=True)
class DivisionTest:
    """A group's division against its rotations.

    ``separation``: on held-out rows; ``null`` (M,): of rotated neurons; ``draws`` (B,): of the separation, in each
    bootstrap draw of held-out documents; ``excess_draws`` (B,): of the separation less the mean of the null.
    ``factor``: share of the variance that the common factor had.
    """

    separation: float
    null: np.ndarray
    draws: np.ndarray
    excess_draws: np.ndarray
    factor: float

    @property
    def excess(self) -> float:
        """The separation less the mean of the null."""
        return float(self.separation - self.null.mean())

    def excess_interval(self, n_documents: int) -> tuple[float, float]:
        """95 % interval of the excess from the spread of its draws; NaN for fewer than ten finite ones.

        A bootstrap of few documents spreads too little, by the factor that a variance over n instead of n - 1 does. A
        draw without the documents in which a neuron moves has no number.
        """
        known = self.excess_draws[np.isfinite(self.excess_draws)]
        if len(known) < 10 or n_documents < 2:
            return float("nan"), float("nan")
        error = float(known.std(ddof=1) * np.sqrt(n_documents / (n_documents - 1)))
        return self.excess - NORMAL_95 * error, self.excess + NORMAL_95 * error


def division_test(
    discovery: np.ndarray,
    heldout: np.ndarray,
    draws: np.ndarray,
    rotations: int,
    seeds: int,
    rng: np.random.Generator,
) -> DivisionTest:
    """Divide a group and its rotations on discovery rows, and score them on held-out rows.

    Divisions and rotations stay the same in all bootstrap draws, so a draw moves what is measured and nothing else.

    Args:
        discovery: (n, n) correlations on discovery rows.
        heldout: (n, n) correlations on held-out rows.
        draws: (B, n, n) correlations in each bootstrap draw of held-out documents.
        rotations: number of rotations.
        seeds: number of orders of the neurons tried.
        rng: draws rotations and orders.
    """
    own = divide(discovery[None], seeds, rng)
    mixed = rotated(own, discovery[None], rotations, seeds, rng)
    scale = null_scale(own, mixed, discovery[None], heldout[None])
    null, found = scale * mixed.separation(heldout), own.separation(draws)
    few = range(min(rotations, ROTATIONS_IN_DRAWS))
    moving = scale * np.mean([mixed.only(slice(k, k + 1)).separation(draws) for k in few], axis=0)
    return DivisionTest(
        float(own.separation(heldout)[0]),
        null,
        found,
        found - moving + null[few].mean() - null.mean(),
        float(own.factor[0]),
    )


def null_scale(own: Divisions, mixed: Divisions, discovery: np.ndarray, heldout: np.ndarray) -> float:
    """What separations of rotated neurons are multiplied by, 1 to ``LARGEST_SCALE``.

    Root of the ratio of mean squared correlations of the groups to those of their rotations. The square is the product
    of discovery and held-out rows, whose errors are independent, so that noise does not add to it.

    Args:
        own: divisions of G groups.
        mixed: their rotations, equally many for each.
        discovery: (G, n, n) correlations on discovery rows.
        heldout: (G, n, n) likewise on held-out rows.
    """
    each = len(mixed.left) // len(own.left)
    n = discovery.shape[1]
    there, here = (
        np.einsum("gij,gij->", divisions.residual(before), divisions.residual(after)) / len(divisions.left) - n
        for divisions, before, after in (
            (mixed, np.repeat(discovery, each, axis=0), np.repeat(heldout, each, axis=0)),
            (own, discovery, heldout),
        )
    )
    if here <= 0:
        return 1.0
    return float(np.sqrt(np.clip(here / max(there, LEAST_VARIANCE), 1, LARGEST_SCALE**2)))


def separations(discovery: np.ndarray, heldout: np.ndarray, seeds: int, rng: np.random.Generator) -> np.ndarray:
    """Separation (G,) of each group's own division; NaN for a group with a constant neuron.

    Args:
        discovery: (G, n, n) correlations on discovery rows.
        heldout: (G, n, n) correlations on held-out rows.
        seeds: number of orders of the neurons tried.
        rng: draws the orders.
    """
    known = np.isfinite(discovery).all((1, 2)) & np.isfinite(heldout).all((1, 2))
    found = np.full(len(known), np.nan)
    if known.any():
        found[known] = divide(discovery[known], seeds, rng).separation(heldout[known])
    return found


def planted_correlation(separation: float) -> float:
    """Correlation within the planted blocks: the group's own separation, so that they are as clear; not below 0.05."""
    return float(np.clip(separation, WEAKEST_PLANT, STRONGEST_PLANT))


def power_of_division(
    discovery: np.ndarray, heldout: np.ndarray, within: float, plants: int, seeds: int, rng: np.random.Generator
) -> float:
    """Share of planted divisions that the test finds.

    ``BLOCKS`` blocks of equal size, of random neurons, are planted into the group's own activations for each plant
    (:func:`with_blocks`) and go through the same code. The null of all plants is pooled.

    Args:
        discovery: (T', n) the group's activations on discovery rows, in the documents' order.
        heldout: (T, n) likewise on held-out rows.
        within: correlation within blocks of what the common factor leaves.
        plants: number of plants.
        seeds: number of orders of the neurons tried.
        rng: draws blocks, signals, rotations and orders.
    """
    n = discovery.shape[1]
    blocks = rng.permuted(np.tile(np.arange(n) % BLOCKS, (plants, 1)), axis=1)
    factor = None
    graphs = []
    for activation in (discovery, heldout):
        values = activation - activation.mean(0, dtype=np.float64)
        values /= np.linalg.norm(values, axis=0)
        factor = _first_component(values.T @ values) if factor is None else factor
        graphs.append(with_blocks(values, factor, blocks, within, rng))
    own = divide(graphs[0], seeds, rng)
    null = rotated(own, graphs[0], ROTATIONS_PER_PLANT, seeds, rng)
    mixed = null.separation(np.repeat(graphs[1], ROTATIONS_PER_PLANT, axis=0))
    limit = null_scale(own, null, *graphs) * np.quantile(mixed, 1 - PLANT_ALPHA)
    return float((own.separation(graphs[1]) > limit).mean())


def _first_component(correlation: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Strength (1,) and direction (1, n) of the first component of (n, n)."""
    strength, vectors = np.linalg.eigh(correlation)
    return strength[-1:], vectors[None, :, -1]


def with_blocks(
    values: np.ndarray,
    factor: tuple[np.ndarray, np.ndarray],
    blocks: np.ndarray,
    within: float,
    rng: np.random.Generator,
) -> np.ndarray:
    """Correlations (P, n, n) of a group's activations after blocks have been planted into what the factor leaves.

    What the factor leaves of a neuron gives up a share ``within`` of its variance to a signal that its block has in
    common. A signal is a random neuron of the group, its rows shifted circularly by a random offset: it has the
    distribution and the run over rows that activations have here, and no relation to any of them. Only products with
    the signals are computed, not the planted activations.

    Args:
        values: (T, n) activations, columns of zero mean and unit length.
        factor: strength (1,) and direction (1, n) of the common factor.
        blocks: (P, n) block of each neuron in each plant.
        within: share of the variance.
        rng: draws neurons and offsets.
    """
    (n_rows, n), n_plants = values.shape, len(blocks)
    left, spread = _without(*factor)
    kept = np.eye(n) - (1 - np.sqrt(1 - within)) * left[0] * spread[0][:, None]
    sources, offsets = rng.integers(n, size=n_plants * BLOCKS), rng.integers(n_rows, size=n_plants * BLOCKS)
    signals = values[(np.arange(n_rows)[:, None] - offsets) % n_rows, sources]
    cross = (values.T @ signals).reshape(n, n_plants, BLOCKS).transpose(1, 0, 2)
    by_plant = signals.reshape(n_rows, n_plants, BLOCKS).transpose(1, 0, 2)
    among = by_plant.transpose(0, 2, 1) @ by_plant
    weight = np.sqrt(within) * spread[0][:, None] * one_hot(blocks, BLOCKS)
    mixed = kept @ cross @ weight.transpose(0, 2, 1)
    own = kept @ (values.T @ values) @ kept.T
    return as_correlation(own + mixed + mixed.transpose(0, 2, 1) + weight @ among @ weight.transpose(0, 2, 1))
