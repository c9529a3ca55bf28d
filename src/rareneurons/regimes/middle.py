"""Is the middle of the curve a power law, and is the decay after it steeper than the power law?

A power law has one local exponent everywhere. A log-normal's rises with rank, without any regime. Both are members of
``s(r) = a q(r)^c``, where q is the local exponent of a log-normal's order statistics: c is 0 for a power law and 1 for
a log-normal. ``exponent_drift`` is c, by weighted least squares of ln s on ln q over the cells of the middle.
"""

import numpy as np

from rareneurons.regimes.local_exponent import DECAY_SHARES, LEAST_EXPONENT, Cells, CurveFit, worth

DECAY_FROM = 0.25  # share of the neurons; the steepness of the decay is that from here to what is fitted
LEAST_CELLS = 4


def middle_cells(places: Cells, fit: CurveFit) -> np.ndarray:
    """Cells (G,) between plateau and decay.

    Where a curve with a plateau is chosen, both are as fitted. The decay begins at the latest where a kink into it may
    lie.
    """
    first, last = 0.0, float(np.log(DECAY_SHARES[0] * places.n_neurons))
    if fit.n_regimes == 3:
        first, last = fit.plateau_end, min(last, fit.decay_start) if np.isfinite(fit.decay_start) else last
    return (places.ln_edge[:-1] >= first - 1e-9) & (places.ln_edge[1:] <= last + 1e-9)


def exponent_drift(places: Cells, exponents: np.ndarray, middle: np.ndarray) -> np.ndarray:
    """c of B curves (B, H) over the cells ``middle`` (G,); NaN for fewer than ``LEAST_CELLS`` cells."""
    if middle.sum() < LEAST_CELLS:
        return np.full(len(exponents), np.nan)
    from scipy.special import digamma, ndtri

    u = (np.arange(1, places.n_neurons + 1) - 0.5) / places.n_neurons
    x = np.log(places.local_exponents(-ndtri(u))[: len(middle)][middle])
    count, weight = places.count[: len(middle)][middle], worth(places)[middle]
    y = np.log(np.maximum(exponents[:, : len(middle)][:, middle], LEAST_EXPONENT)) - digamma(count) + np.log(count)
    centred = weight * (x - weight @ x / weight.sum())
    return y @ centred / (x @ centred)


def decay_steepness(places: Cells, exponents: np.ndarray, middle: np.ndarray) -> np.ndarray:
    """Local exponent of B curves (B, H) from the share ``DECAY_FROM`` on, over the middle's.

    NaN for fewer than ``LEAST_CELLS`` cells in the middle.
    """
    if middle.sum() < LEAST_CELLS:
        return np.full(len(exponents), np.nan)
    fitted = len(middle)
    decay = places.ln_edge[:-1] >= np.log(DECAY_FROM * places.n_neurons)
    decay[-1] = True  # in short curves no cell begins there
    count, weight = places.count[:fitted] * decay, worth(places) * middle
    mine = exponents[:, :fitted]
    return (mine @ count / count.sum()) / np.maximum(mine @ weight / weight.sum(), LEAST_EXPONENT)
