"""C1, C2, P1b and P2: which regimes does influence have for rare targets, and which for common ones?"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from rareneurons.claims.bounds import Bounds
from rareneurons.claims.decision import Decision, Statistic, Verdict
from rareneurons.claims.interval import NAN, UNKNOWN, Interval
from rareneurons.claims.requirements import Option, more_documents
from rareneurons.claims.view import Finder, Tables, View
from rareneurons.regimes.estimates import (
    DECAY,
    DRIFT,
    FIXED,
    MORE,
    N_NEURONS,
    OF_READING,
    PLATEAU,
    POWER,
    contrast_margin,
    planted_powers,
    power_part,
)
from rareneurons.regimes.local_exponent import LEAST_NEURONS, READINGS, Reading
from rareneurons.tables import DIFFERENCE, VALUE

TABLE = "regimes"
STEEP = 2.0  # a decay is rapid if its exponent is this many times that of the power law
MOST_DRIFT = 0.5  # of a power law's exponent: half way to a log-normal's
PartFinder = Callable[[str, str], Finder]  # of a curve: by measure and part


@dataclass(frozen=True)
class Curve:
    """Evidence: what the plateau test says of the curve of the ``condition``, and with which power it says it.

    ``reading``: by which a plateau is declared, or the one that is nearer to it; ``p_value``: of that reading, before
    adjustment; ``number`` and ``bound``: its number, and where that begins to be a plateau's; ``power``: to find a
    plateau by either reading, at least; ``power_wanted``: the power with which a negative answer counts; ``powers``: to
    find planted plateaus, by reading and number of neurons.
    """

    condition: str
    found: bool
    reading: Reading
    p_value: float
    number: Interval
    bound: float
    power: float
    power_wanted: float
    powers: Mapping[Reading, Mapping[int, float]]


@dataclass(frozen=True)
class FixedCut:
    """Evidence where the neurons before the fixed cut are called a plateau without a test."""

    condition: str


@dataclass(frozen=True)
class Contrast:
    """Evidence of C2: the curves of both conditions, and the difference between their tops.

    ``declared``: the conditions with a plateau; ``margin``: smallest relevant difference, with the sign of more of a
    plateau on ``curves[0]``; ``end``: ln rank at which the compared tops end.
    """

    curves: tuple[Curve, Curve]
    reading: Reading
    margin: float
    end: float
    p_value: float

    @property
    def declared(self) -> tuple[str, ...]:
        """Conditions on whose rows a plateau is declared."""
        return tuple(curve.condition for curve in self.curves if curve.found)


@dataclass(frozen=True)
class Phases:
    """Evidence of P1b: the plateau, the drift of the exponent in the middle, and the steepness of the decay."""

    curve: Curve
    drift: Interval
    decay: Interval


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


@dataclass(frozen=True)
class PlateauSomewhere:
    """Requirement: a plateau on rows of the ``condition``, which those of the other could lack."""

    condition: str


def decide_rare_curve(tables: Tables, view: View, bounds: Bounds) -> Decision:
    """C1: there is a plateau for rare targets."""
    if view.fixed_cuts:
        return _by_fixed_cut(tables, view, bounds, view.condition, "supported")
    curve = _curve(tables, view, bounds, view.condition)
    if isinstance(curve, ShortCurve):
        return _too_short(view, bounds, curve)
    option = _more_power(_finder(tables, view, view.condition), bounds.power, _n_neurons(tables, view))
    verdict: Verdict = "supported" if curve.found else "contradicted" if curve.power >= bounds.power else "undecided"
    return Decision(
        verdict,
        _statistic(view, view.condition, curve.reading),
        curve,
        (option,),
        curve.number,
        _adjusted_for_readings(curve, bounds),
        _n_blocks(tables, view, view.condition),
        curve.power,
        curve.bound,
    )


def decide_common_curve(tables: Tables, view: View, bounds: Bounds) -> Decision:
    """C2: common targets lack the plateau of rare ones, by the paired difference of their tops."""
    if view.fixed_cuts:
        return _by_fixed_cut(tables, view, bounds, view.contrast, "contradicted")
    curves = tuple(_curve(tables, view, bounds, condition) for condition in (view.condition, view.contrast))
    if isinstance(curves[0], ShortCurve) or isinstance(curves[1], ShortCurve):
        return _too_short(view, bounds, next(each for each in curves if isinstance(each, ShortCurve)))
    reading = next((curve.reading for curve in curves if isinstance(curve, Curve) and curve.found), READINGS[0])
    find = view.finder(tables[TABLE], "boost", *OF_READING[reading], condition=view.difference)
    row = find(DIFFERENCE)
    end = view.finder(tables[TABLE], "boost", "plateau_end", reading, condition=view.difference)(VALUE)
    power = view.finder(tables[TABLE], "boost", POWER[0], reading, condition=view.difference)(VALUE)
    margin = contrast_margin(reading, bounds.flatness, bounds.excess)
    evidence = Contrast(
        (curves[0], curves[1]),
        reading,
        margin,
        NAN if end is None else float(end["value"]),
        NAN if row is None else float(row["p_value"]),
    )
    difference = UNKNOWN if row is None else Interval.of(row)
    needed = more_documents(difference, view.split, above=max(margin, 0), below=min(margin, 0))
    premise = PlateauSomewhere(view.condition)
    return Decision(
        _contrast_verdict(evidence, difference),
        _statistic(view, view.difference, reading, DIFFERENCE),
        evidence,
        (Option((needed if curves[0].found else premise,)),),
        difference,
        evidence.p_value,
        _n_blocks(tables, view, view.contrast),
        NAN if power is None else float(power["value"]),
        margin,
    )


def _contrast_verdict(found: Contrast, difference: Interval) -> Verdict:
    """Supported: the first condition alone has a plateau, and the difference is relevant and not zero.

    Contradicted: either condition has one, and a relevant difference is excluded.
    """
    sign = np.sign(found.margin)
    low, high = sorted((sign * difference.ci_low, sign * difference.ci_high))
    relevant = sign * difference.value >= abs(found.margin) and low > 0
    if found.declared == (found.curves[0].condition,) and relevant:
        return "supported"
    if found.declared and high < abs(found.margin):
        return "contradicted"
    return "undecided"


def decide_three_phases(tables: Tables, view: View, bounds: Bounds) -> Decision:
    """P1b: influence on rare targets has a plateau, a power law and a rapid decay, all three."""
    curve = _curve(tables, view, bounds, view.condition)
    if isinstance(curve, ShortCurve):
        return _too_short(view, bounds, curve)
    find = _finder(tables, view, view.condition)
    row = find(*DRIFT)(VALUE)
    drift, decay = (_interval(find(*number)(VALUE)) for number in (DRIFT, DECAY))
    needed = [more_documents(drift, view.split, above=MOST_DRIFT, below=MOST_DRIFT)] * (not _clear(drift, MOST_DRIFT))
    needed += [more_documents(decay, view.split, above=STEEP, below=STEEP)] * (not _clear(decay, STEEP))
    no_plateau = not curve.found and curve.power >= bounds.power
    verdict: Verdict = "undecided"
    if curve.found and drift.ci_high < MOST_DRIFT and decay.ci_low > STEEP:
        verdict = "supported"
    elif no_plateau or drift.ci_low > MOST_DRIFT or decay.ci_high < STEEP:
        verdict = "contradicted"
    more: tuple[object, ...] = ()
    if not curve.found:
        more = _more_power(find, bounds.power, _n_neurons(tables, view)).requirements
    return Decision(
        verdict,
        Statistic(DRIFT[0], "boost", view.condition, view.split, DRIFT[1]),
        Phases(curve, drift, decay),
        (Option((*more, *needed)),),
        drift,
        NAN if row is None else float(row["p_value"]),
        _n_blocks(tables, view, view.condition),
        curve.power,
        MOST_DRIFT,
    )


def decide_two_regimes(tables: Tables, view: View, bounds: Bounds) -> Decision:
    """P2: rare targets have a plateau and a power law, common ones a power law alone; the test of C2 decides it."""
    return decide_common_curve(tables, view, bounds)


def _interval(row: pd.Series | None) -> Interval:
    return UNKNOWN if row is None else Interval.of(row)


def _clear(number: Interval, bound: float) -> bool:
    """Whether an interval lies on one side of a bound."""
    return number.ci_low > bound or number.ci_high < bound


def _finder(tables: Tables, view: View, condition: str) -> PartFinder:
    def finder(measure: str, part: str) -> Finder:
        return view.finder(tables[TABLE], "boost", measure, part, condition=condition)

    return finder


def _curve(tables: Tables, view: View, bounds: Bounds, condition: str) -> Curve | ShortCurve:
    """What the plateau test says of a condition's curve."""
    find = _finder(tables, view, condition)
    test, tests = find(*PLATEAU)(VALUE), {reading: find(PLATEAU[0], reading)(VALUE) for reading in READINGS}
    if test is None or any(row is None for row in tests.values()):
        return ShortCurve(_n_neurons(tables, view, condition))
    known = {reading: row for reading, row in tests.items() if row is not None}
    reading = max(READINGS, key=lambda each: (known[each]["value"], -known[each]["p_value"]))
    rows = tables[TABLE]
    rows, power = rows[(rows["condition"] == condition) & (rows["group"] == "boost")], find(*POWER)(VALUE)
    return Curve(
        condition,
        bool(test["value"] == 1),
        reading,
        float(known[reading]["p_value"]),
        _interval(find(*OF_READING[reading])(VALUE)),
        bounds.flatness if reading == "flat" else float(np.log(bounds.excess)),
        NAN if power is None else float(power["value"]),
        bounds.power,
        planted_powers(rows),
    )


def _statistic(view: View, condition: str, reading: Reading, quantity: str = VALUE) -> Statistic:
    measure, part = OF_READING[reading]
    return Statistic(measure, "boost", condition, view.split, part, quantity)


def _n_neurons(tables: Tables, view: View, condition: str = "") -> int:
    row = view.finder(tables[TABLE], "boost", *N_NEURONS, condition=condition)(VALUE)
    return 0 if row is None else int(row["value"])


def _n_blocks(tables: Tables, view: View, condition: str) -> float:
    row = view.finder(tables[TABLE], "boost", *PLATEAU, condition=condition)(VALUE)
    return 0 if row is None else row["n"]


def _too_short(view: View, bounds: Bounds, curve: ShortCurve) -> Decision:
    option = Option((LongerCurve(),))
    return Decision("undecided", _statistic(view, view.condition, "flat"), curve, (option,), bound=bounds.flatness)


def _by_fixed_cut(tables: Tables, view: View, bounds: Bounds, condition: str, if_found: Verdict) -> Decision:
    """Whatever comes before the fixed cut is called a plateau."""
    find = _finder(tables, view, condition)
    plateau, flatness = find(PLATEAU[0], FIXED)(VALUE), find(OF_READING["flat"][0], FIXED)(VALUE)
    statistic = replace(_statistic(view, condition, "flat"), part=FIXED)
    if plateau is None:
        return replace(_too_short(view, bounds, ShortCurve(_n_neurons(tables, view, condition))), statistic=statistic)
    number, n = _interval(flatness), plateau["n"]
    return Decision(if_found, statistic, FixedCut(condition), (), number, n=n, bound=bounds.flatness)


def n_tested_checkpoints(bounds: Bounds) -> float:
    """Number of checkpoints that the test's own level allows for."""
    return bounds.alpha / bounds.plateau_alpha


def _adjusted_for_readings(curve: Curve, bounds: Bounds) -> float:
    """The p of one reading at one checkpoint, adjusted for both and for all checkpoints (Bonferroni)."""
    return float(np.minimum(1.0, len(READINGS) * curve.p_value * n_tested_checkpoints(bounds)))


def _more_power(find: PartFinder, wanted: float, n_neurons: int) -> Option:
    """The simulated documents or neurons at which the test's negative answer would count."""
    tried: dict[str, tuple[int, float]] = {}
    for kind, multiples in MORE.items():
        for times in multiples:
            simulated = find(POWER[0], power_part(kind, times))(VALUE)
            if simulated is not None:
                tried[kind] = times, float(simulated["value"])
    return Option((MoreForPower(tried, wanted, n_neurons) if tried else KnownPower(),))
