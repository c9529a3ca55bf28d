"""How far a group exceeds its control groups, with the uncertainty due to documents and to the choice of groups."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Excess:
    """A group's number less the mean of its control groups, its 95 % interval, two-sided p of zero, draws (B,)."""

    value: float
    ci_low: float
    ci_high: float
    p_value: float
    draws: np.ndarray


def excess_over_controls(
    value: float,
    draws: np.ndarray,
    null: np.ndarray,
    null_draws: np.ndarray,
    n_documents: int,
    rng: np.random.Generator,
) -> Excess:
    """The excess with an error that holds both documents and groups.

    Two sources err independently. Documents: the bootstrap variance of the excess over these control groups. Groups:
    control groups differ from one another by ``spread`` beyond what documents explain, so one more group of their kind
    would lie ``spread * sqrt(1 + 1 / m)`` from the mean of m of them. Both enter, so that a group that is nothing but
    another control group exceeds them in 5 % of cases. The critical value is Student's, with Satterthwaite's (1946)
    degrees of freedom for the sum of the two variances.

    Args:
        value: the group's number.
        draws: (B,) its bootstrap draws over documents.
        null: (m,) the control groups' numbers.
        null_draws: (B, m) their draws, over the same documents.
        n_documents: number of documents.
        rng: draws the groups' share of the returned draws.

    Returns:
        The excess. Its draws are those over documents, moved so that their mean is the value, plus the error of
        groups. Interval, p and draws are NaN for fewer than ten finite draws.
    """
    from scipy.special import stdtr, stdtrit

    m, known = len(null), np.isfinite(draws) & np.isfinite(null_draws).all(1)
    moved = draws - null_draws.mean(1)
    excess = value - float(null.mean())
    if known.sum() < 10 or n_documents < 2:
        return Excess(excess, np.nan, np.nan, np.nan, np.full(len(draws), np.nan))
    growth = n_documents / (n_documents - 1)  # the bootstrap's variance is that of n documents over n, not n - 1
    documents = growth * float(moved[known].var())
    groups = (1 + 1 / m) * _spread_beyond_documents(null, null_draws[known], growth) ** 2
    error = np.sqrt(documents + groups)
    by_part = documents**2 / (n_documents - 1) + (groups**2 / (m - 1) if m > 1 else 0.0)
    freedom = (documents + groups) ** 2 / by_part if by_part > 0 else np.inf
    half = float(stdtrit(min(freedom, 1e6), 0.975)) * error
    p_value = 2 * float(stdtr(min(freedom, 1e6), -abs(excess) / error)) if error > 0 else float(excess == 0)
    centred = excess + np.sqrt(growth) * (moved - moved[known].mean()) + np.sqrt(groups) * rng.normal(size=len(moved))
    return Excess(excess, excess - half, excess + half, p_value, centred)


def _spread_beyond_documents(null: np.ndarray, null_draws: np.ndarray, growth: float) -> float:
    """Standard deviation of control groups (m,) less what documents (draws (B, m)) make of it; 0 for one group."""
    m = len(null)
    if m < 2:
        return 0.0
    apart = null_draws - null_draws.mean(1, keepdims=True)
    by_documents = growth * float(apart.var(0).sum()) / (m - 1)
    return float(np.sqrt(max(0.0, null.var(ddof=1) - by_documents)))
