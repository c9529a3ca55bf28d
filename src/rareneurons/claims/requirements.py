"""What a run would need to decide what it leaves undecided: power calculations from its own numbers.

All aim at a probability of ``CHANCE``. They assume that standard errors shrink with the root of the number of
documents, that the spread of control groups shrinks with the root of the number of neurons, and that added checkpoints
scatter about the trend as the present ones do.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import ceil, factorial
from typing import Any, Literal

import numpy as np
import pandas as pd

from rareneurons.claims.interval import NAN, Interval, null_spread
from rareneurons.stats import NORMAL_95

CHANCE = 0.8
MOST_TIMES = 1000  # more than this many times the present number is no answer
LEAST_CHECKPOINTS = 4  # of a trend
Documents = Literal["heldout", "discovery", "attention"]  # those of a split, or those that attention is measured on


@dataclass(frozen=True)
class Option:
    """All ``requirements`` together would decide a claim.

    ``towards``: the verdict they may lead to, where it is a particular one; ``part``: the weight matrix they are about,
    where a claim looks at several.
    """

    requirements: tuple[Any, ...]
    towards: Literal["supported", "contradicted", ""] = ""
    part: str = ""


@dataclass(frozen=True)
class AnyOf:
    """One of several options, as a part of another option."""

    options: tuple[Option, ...]


@dataclass(frozen=True)
class MoreDocuments:
    """``times`` as many documents (infinite: more than ``MOST_TIMES``; NaN: no interval yet) that have ``rows`` now."""

    times: float
    documents: Documents
    rows: float = NAN


@dataclass(frozen=True)
class LargerGroup:
    """A group of ``times`` as many neurons (NaN: the spread of the control groups is not known)."""

    times: float
    size: int


@dataclass(frozen=True)
class MoreControls:
    """``needed`` control groups instead of ``here``."""

    needed: int
    here: int


@dataclass(frozen=True)
class MoreCheckpoints:
    """``needed`` checkpoints with a known step instead of ``here``."""

    needed: int
    here: int


@dataclass(frozen=True)
class OppositeTrend:
    """A trend in the other direction than the ``correlation`` with step found here."""

    correlation: float


@dataclass(frozen=True)
class MorePermutations:
    """``needed`` permutations instead of ``here``."""

    needed: int
    here: int


@dataclass(frozen=True)
class Measurable:
    """A group that can be measured: this one cannot, for the measure's ``reason`` or for lack of rows in a table."""

    reason: str = ""
    absent_from: str = ""


@dataclass(frozen=True)
class SmallerP:
    """A smaller primary p: after Holm's adjustment for the model's ``n`` other claims it is ``adjusted`` here."""

    adjusted: float
    alpha: float
    n: int


@dataclass(frozen=True)
class SelectiveNeurons:
    """Neurons that matter more for rare targets: C8 (or the ``claim``) finds none, or is undecided (``may_exist``)."""

    may_exist: bool
    claim: str = "C8"


@dataclass(frozen=True)
class NothingPromising:
    """Neither more neurons nor more documents are likely to help: ``number`` is within the spread of the controls."""

    number: float
    bound: float
    documents: Documents


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
    both, so a value that happens to lie on a bound does not require infinitely many units.

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


def checkpoints_for_trend(rho: float, alpha: float) -> int:
    """Fewest checkpoints with which a trend's two-sided permutation p is at most ``alpha`` with chance ``CHANCE``.

    There must be at least as many as one order of all, or its reverse, needs: ``2 / k! <= alpha``. Beyond that the
    number follows from Fisher's transformation of Spearman's correlation, whose variance is ``(1 + rho^2 / 2) / (k -
    3)`` (Bonett & Wright 2000).

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


def more_neurons(
    effect: float, tested: pd.Series | Mapping[str, float], alpha: float, size: int, sides: int = 1
) -> MoreControls | LargerGroup | None:
    """What it takes for a group to differ from its controls by adjusted p; None where nothing is likely to be enough.

    It takes more control groups where so few cannot give a p as small as the adjustment asks for. Otherwise it takes
    more neurons: the controls' spread shrinks with the root of their number while the effect stays.

    Args:
        effect: the group's value minus the controls' mean.
        tested: ``p_value`` and ``q_value`` of the group; ``null_low``, ``null_high`` and ``null_n`` of the controls.
        alpha: largest adjusted p.
        size: number of neurons of the group.
        sides: 2 if p counts either tail.
    """
    from scipy.special import ndtri

    wanted = alpha * tested["p_value"] / tested["q_value"]  # the adjustment as it is here
    if sides / (tested["null_n"] + 1) > wanted:
        return MoreControls(ceil(sides / wanted) - 1, int(tested["null_n"]))
    spread = null_spread(tested)
    times = times_as_many(abs(effect), spread, above=0, critical=float(-ndtri(wanted / sides)))
    return None if np.isinf(times) else LargerGroup(times, size)


def more_documents(
    number: Interval, documents: Documents, rows: float = NAN, above: float = np.inf, below: float = -np.inf
) -> MoreDocuments:
    """The documents with which a number is clear of a bound; bounds as :func:`times_as_many` takes them."""
    return MoreDocuments(times_as_many(number.value, number.standard_error, above, below), documents, rows)


def more_permutations(alpha: float, permutations: int) -> Iterator[MorePermutations]:
    """The permutations that a p of ``alpha`` requires; nothing if there are enough."""
    if 1 / (permutations + 1) > alpha:
        yield MorePermutations(ceil(1 / alpha) - 1, permutations)
