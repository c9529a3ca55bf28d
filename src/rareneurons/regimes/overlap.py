"""Are the neurons that matter most for rare targets those that matter most for common ones?"""

import numpy as np

from rareneurons.regimes.curve import RankCurve
from rareneurons.regimes.plateau import share_kept


def top_overlap(first: RankCurve, second: RankCurve, sizes: tuple[int, ...]) -> dict[int, float]:
    """Share of the first k neurons of one curve that are among the first k of another, k by k.

    Args:
        first: one curve.
        second: another, of the same layer.
        sizes: the ks; one larger than a curve gives NaN.

    Returns:
        k -> 0 to 1.
    """
    shortest = min(len(first.neuron), len(second.neuron))
    return {k: share_kept(first.neuron[:k], second.neuron) if k <= shortest else float("nan") for k in sizes}


def overlap_p(overlap: float, k: int, n_neurons: int) -> float:
    """Chance that k random neurons of a layer share at least as many with a given k (hypergeometric tail).

    Args:
        overlap: share found, as :func:`top_overlap` returns it.
        k: size of both sets.
        n_neurons: N, neurons of the layer.
    """
    from scipy import stats  # here, because it takes longer to load than the rest of this module

    if not np.isfinite(overlap):
        return float("nan")
    return float(stats.hypergeom.sf(round(overlap * k) - 1, n_neurons, k, k))


def rank_fraction_elsewhere(top: np.ndarray, influence: np.ndarray) -> float:
    """Median rank fraction of some top neurons in another influence (N,): 0 most, 1 least influential, 0.5 by chance.

    NaN where there are no top neurons.
    """
    if len(top) == 0:
        return float("nan")
    place = np.argsort(np.argsort(-influence))
    return float(np.median(place[top]) / (len(influence) - 1))
