"""What a run would need to decide what it leaves undecided: power calculations from its own numbers, in words.

All aim at a chance of ``CHANCE``. Their assumptions: standard errors shrink with the root of the number of documents;
the spread of control groups with the root of the number of neurons; added checkpoints scatter about the trend as the
present ones do.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil, factorial

import numpy as np
import pandas as pd

from rareneurons.stats import NORMAL_95

CHANCE = 0.8
MOST_TIMES = 1000  # more than this many times the present number is no answer
LEAST_CHECKPOINTS = 4  # of a trend


def times_as_many(
    value: float,
    error: float,
    above: float = np.inf,
    below: float = -np.inf,
    critical: float = NORMAL_95,
    chance: float = CHANCE,
) -> float:
    """How many times as many independent units would decide, with a given chance, what this many did not.

    A decision is a value ``critical`` standard errors above ``above`` or below ``below``. With f times the units the
    standard error is ``error / sqrt(f)``; what the new value will be is as uncertain as the old one says: normal about
    ``value`` with variance ``error^2 (1 + 1 / f)`` (assurance: O'Hagan, Stevens & Campbell 2005). The chance is over
    both, so that a value that happens to lie on a bound does not call for endless numbers.

    Args:
        value: what was measured.
        error: its standard error.
        above: bound of a decision upwards; none if infinite.
        below: bound of a decision downwards; none if infinite.
        critical: standard errors between bound and value.
        chance: 0 to 1.

    Returns:
        The smallest f from 1 up to ``MOST_TIMES``, in steps of 1 %; infinite where none is enough, NaN where the
        error is not known.
    """
    from scipy.special import ndtr

    if not error > 0:
        return np.nan if np.isnan(error) else np.inf
    times = np.exp(np.arange(0, np.log(MOST_TIMES), 0.01))
    new, scatter = error / np.sqrt(times), error * np.sqrt(1 + 1 / times)
    up, down = ((bound - value) / scatter for bound in (above + critical * new, below - critical * new))
    enough = np.flatnonzero(1 - np.maximum(0, ndtr(up) - ndtr(down)) >= chance)
    return float(times[enough[0]]) if len(enough) else np.inf


def standard_error(number: pd.Series) -> float:
    """Standard error that the wider half of a number's 95 % interval stands for."""
    return max(number["ci_high"] - number["value"], number["value"] - number["ci_low"]) / NORMAL_95


def rounded(number: float) -> str:
    """A number of things, to two digits, upwards."""
    place = 10 ** max(0, int(np.floor(np.log10(number))) - 1)
    return f"{ceil(number / place - 1e-9) * place:,}"


@dataclass(frozen=True)
class Sample:
    """The units that an interval is over: ``documents`` names them, ``rows`` is how many rows they have (or NaN)."""

    documents: str
    rows: float = float("nan")


def more_documents(times: float, sample: Sample) -> str:
    """``times`` as many documents, in words."""
    if np.isnan(times):
        return "an interval to begin with: at least ten bootstrap draws that have a value"
    if np.isinf(times):
        return (
            f"more than {MOST_TIMES:,} times as many {sample.documents}, so near to the bound or beyond it is the value"
        )
    now = f" ({rounded(times * sample.rows)} rows instead of {sample.rows:,.0f})" if np.isfinite(sample.rows) else ""
    return f"{times:.1f} times as many {sample.documents}{now}"


def group_of(times: float, size: int) -> str:
    """A group of ``times`` as many neurons, in words."""
    if np.isnan(times):
        return "at least ten matched groups that have a value"
    if times > MOST_TIMES:
        return f"more than {MOST_TIMES:,} times as many neurons as the {size} here"
    return f"a group of {rounded(times * size)} neurons ({size} here)"


def cannot_measure(why: str) -> str:
    """What is asked for where a group of neurons has no number."""
    return f"a group that can be measured; here: {why}"


def checkpoints_for_trend(rho: float, alpha: float) -> int:
    """Checkpoints from which on a trend's two-sided permutation p is at most ``alpha`` with a chance of ``CHANCE``.

    At the least as many as one order of all, or its reverse, needs: ``2 / k! <= alpha``. And as Fisher's transformation
    of Spearman's correlation says, whose variance is ``(1 + rho^2 / 2) / (k - 3)`` (Bonett & Wright 2000).

    Args:
        rho: correlation with step in the run; NaN or 1 asks for the least number.
        alpha: largest p.
    """
    from scipy.special import ndtri

    least = next(k for k in range(LEAST_CHECKPOINTS, 100) if 2 / factorial(k) <= alpha)
    if not 0 < abs(rho) < 1:
        return least
    wanted = (ndtri(1 - alpha / 2) + ndtri(CHANCE)) / np.arctanh(abs(rho))
    return max(least, ceil(3 + (1 + rho**2 / 2) * wanted**2))


def more_neurons(effect: float, null: pd.Series, tested: pd.Series, alpha: float, size: int, sides: int = 1) -> str:
    """What it takes for a group to differ from its controls by adjusted p, in words; empty where nothing promises it.

    Either more controls, where so few cannot give a p as small as the adjustment asks for; or more neurons: the
    controls' spread shrinks with the root of their number while the effect stays.

    Args:
        effect: group less the controls' mean.
        null: the controls' mean, its central 95 % as ``ci_low`` and ``ci_high``, their number as ``n``.
        tested: ``p_value`` and ``q_value`` of the group.
        alpha: largest adjusted p.
        size: neurons of the group.
        sides: 2 if p counts either tail.
    """
    from scipy.special import ndtri

    wanted = alpha * tested["p_value"] / tested["q_value"]  # the adjustment as it is here
    if sides / (null["n"] + 1) > wanted:
        return f"{ceil(sides / wanted) - 1:,} control groups (`groups.controls`; {null['n']:.0f} here)"
    spread = (null["ci_high"] - null["ci_low"]) / (2 * NORMAL_95)
    times = times_as_many(abs(effect), spread, above=0, critical=float(-ndtri(wanted / sides)))
    return "" if np.isinf(times) else group_of(times, size)


def more_permutations(alpha: float, permutations: int) -> Iterator[str]:
    """The permutations a p of ``alpha`` asks for, in words; nothing where there are enough."""
    if 1 / (permutations + 1) > alpha:
        yield f"{ceil(1 / alpha) - 1:,} permutations (`dynamics.permutations`; {permutations:,} here)"
