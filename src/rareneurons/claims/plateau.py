"""C1 and C2: is there a plateau for rare targets, and none for common ones?"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from rareneurons.claims.bounds import Bounds
from rareneurons.claims.decision import Decision, Statistic, Verdict
from rareneurons.claims.interval import UNKNOWN, Interval
from rareneurons.claims.requirements import Option
from rareneurons.claims.view import Finder, Tables, View
from rareneurons.regimes.estimates import AUTO, FIXED, FLATNESS, MORE, N_NEURONS, POWER, power_part
from rareneurons.regimes.local_exponent import LEAST_NEURONS
from rareneurons.tables import VALUE

TABLE = "regimes"
PartFinder = Callable[[str, str], Finder]  # of a curve: by measure and part


@dataclass(frozen=True)
class Curve:
    """Evidence: what the plateau test says of the curve of the ``condition``, and with which power it says it.

    ``p_value``: before adjustment; ``power_wanted``: the power with which a negative answer counts.
    """

    condition: str
    found: bool
    p_value: float
    power: float
    power_wanted: float


@dataclass(frozen=True)
class ShortCurve:
    """Evidence where a curve is too short to be fitted."""

    n_neurons: int


@dataclass(frozen=True)
class LongerCurve:
    """Requirement: a last MLP with at least ``n_neurons`` boost neurons."""

    n_neurons: int = LEAST_NEURONS


@dataclass(frozen=True)
class KnownPower:
    """Requirement: the test's power, which was not simulated."""


@dataclass(frozen=True)
class MoreForPower:
    """Requirement: what the simulations tried to raise the test's power to the one that is ``wanted``.

    ``tried``: ``documents`` or ``neurons`` -> the largest multiple that was tried, and the power with it;
    ``n_neurons``: number of boost neurons here.
    """

    tried: dict[str, tuple[int, float]]
    wanted: float
    n_neurons: int


def decide_rare_curve(tables: Tables, view: View, bounds: Bounds) -> Decision:
    """C1: there is a plateau for rare targets."""
    return _decide_curve(tables, view, bounds, view.condition, "supported", "contradicted")


def decide_common_curve(tables: Tables, view: View, bounds: Bounds) -> Decision:
    """C2: there is none for common targets."""
    return _decide_curve(tables, view, bounds, view.contrast, "contradicted", "supported")


def _decide_curve(
    tables: Tables, view: View, bounds: Bounds, condition: str, if_found: Verdict, if_not: Verdict
) -> Decision:
    """The plateau test's answer; a negative one counts only where the test would have found a planted plateau."""
    measure, part = FLATNESS[0], FIXED if view.fixed_cuts else AUTO
    statistic = Statistic(measure, "boost", condition, view.split, part)

    def finder(measure: str, part: str) -> Finder:
        return view.finder(tables[TABLE], "boost", measure, part, condition=condition)

    test, power = view.plateau(tables[TABLE], condition), finder(*POWER)(VALUE)
    curve, flatness = finder(*N_NEURONS)(VALUE), finder(measure, part)(VALUE)
    n_neurons = 0 if curve is None else int(curve["value"])
    if test is None:
        option = Option((LongerCurve(),))
        return Decision("undecided", statistic, ShortCurve(n_neurons), (option,), bound=bounds.flatness)
    found, share = bool(test["value"] == 1), np.nan if power is None else float(power["value"])
    verdict: Verdict = "undecided"
    if found:
        verdict = if_found
    elif share >= bounds.power:
        verdict = if_not
    return Decision(
        verdict,
        statistic,
        Curve(condition, found, float(test["p_value"]), share, bounds.power),
        (_more_power(finder, bounds.power, n_neurons),),
        UNKNOWN if flatness is None else Interval.of(flatness),
        adjusted_for_checkpoints(float(test["p_value"]), bounds),
        test["n"],
        share,
        bounds.flatness,
    )


def n_tested_checkpoints(bounds: Bounds) -> float:
    """Number of checkpoints that the test's own level allows for."""
    return bounds.alpha / bounds.plateau_alpha


def adjusted_for_checkpoints(p_value: float, bounds: Bounds) -> float:
    """The p of one checkpoint's test, adjusted for all of them (Bonferroni); NaN where no test was made."""
    return float(np.minimum(1.0, p_value * n_tested_checkpoints(bounds)))


def _more_power(finder: PartFinder, wanted: float, n_neurons: int) -> Option:
    """The simulated documents or neurons at which the test's negative answer would count."""
    tried: dict[str, tuple[int, float]] = {}
    for kind, multiples in MORE.items():
        for times in multiples:
            simulated = finder(POWER[0], power_part(kind, times))(VALUE)
            if simulated is not None:
                tried[kind] = times, float(simulated["value"])
    return Option((MoreForPower(tried, wanted, n_neurons) if tried else KnownPower(),))
