"""Are the neurons that matter most for rare targets those that matter most for common ones?"""

from collections.abc import Mapping

import numpy as np

from rareneurons.regimes.curve import RankCurve
from rareneurons.regimes.plateau import head_overlap
from rareneurons.stats import spearman


def top_overlap(first: RankCurve, second: RankCurve, sizes: tuple[int, ...]) -> dict[str, float]:
    """Share of the first k neurons of one curve that are among the first k of another, k by k.

    Args:
        first: one curve.
        second: another, of the same layer.
        sizes: the ks; one larger than a curve gives NaN.

    Returns:
        ``top_<k>`` -> 0 to 1.
    """
    shortest = min(len(first.neuron), len(second.neuron))
    return {f"top_{k}": head_overlap(first.neuron[:k], second.neuron) if k <= shortest else float("nan") for k in sizes}


def overlap_p(overlap: float, k: int, n_neurons: int) -> float:
    """Chance that k random neurons of a layer share at least as many with a given k (hypergeometric tail).

    Args:
        overlap: share found, as :func:`top_overlap` returns it.
        k: size of both sets.
        n_neurons: N, neurons of the layer.
    """
    from scipy import stats  # here, because loading it takes longer than the rest of this room

    if not np.isfinite(overlap):
        return float("nan")
    return float(stats.hypergeom.sf(round(overlap * k) - 1, n_neurons, k, k))


def rank_fraction_elsewhere(head: np.ndarray, influence: np.ndarray) -> float:
    """Median place of a head's neurons in another influence (N,): 0 the most influential, 1 the least; 0.5 by chance.

    NaN for an empty head.
    """
    if len(head) == 0:
        return float("nan")
    place = np.argsort(np.argsort(-influence))
    return float(np.median(place[head]) / (len(influence) - 1))


def overlap_measures(
    curves: tuple[RankCurve, RankCurve], influences: tuple[np.ndarray, np.ndarray], sizes: tuple[int, ...], head: int
) -> Mapping[str, float]:
    """All overlap numbers of two conditions.

    Args:
        curves: of the first and the second condition, one sign.
        influences: (N,) influence of every neuron in each condition.
        sizes: sizes of the tops that are compared.
        head: size of the first condition's head, 0 where it has none.
    """
    return {
        **top_overlap(*curves, sizes),
        "influence_agreement": spearman(*influences),
        "head_rank_fraction": rank_fraction_elsewhere(curves[0].neuron[:head], influences[1]),
    }
