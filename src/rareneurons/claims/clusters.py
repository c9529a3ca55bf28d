"""C4: do the top neurons form no discrete clusters?"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from rareneurons.claims.bounds import Bounds
from rareneurons.claims.decision import Decision, Statistic, Verdict, unmeasured
from rareneurons.claims.interval import Interval, null_spread
from rareneurons.claims.requirements import (
    LargerGroup,
    MoreControls,
    MoreDocuments,
    NothingPromising,
    Option,
    more_documents,
    more_neurons,
)
from rareneurons.claims.view import Tables, View
from rareneurons.groups import CONTROL_KINDS
from rareneurons.organization.estimates import (
    COMMON_FACTOR,
    DIVISION_POWER,
    PLANTED_CORRELATION,
    ROTATION,
    SEPARATION,
)
from rareneurons.tables import DIFFERENCE, VALUE

TABLE = "organization"


@dataclass(frozen=True)
class Division:
    """Evidence: how clearly the group divides into communities.

    ``separation``: row of the value against rotated neurons; ``factor``: the common factor's share of the variance, 0
    where none is taken out; ``planted``: correlation within the planted blocks behind the power, and ``wanted`` the
    power that a negative result takes; ``controls``: kind -> row of the value against those control groups.
    """

    separation: pd.Series
    factor: float
    planted: float
    wanted: float
    controls: Mapping[str, pd.Series]


@dataclass(frozen=True)
class ClearerPlants:
    """Requirement: rows enough to find planted blocks, of which ``power`` are found and ``wanted`` should be."""

    power: float
    wanted: float
    planted: float
    rows: float


@dataclass(frozen=True)
class LargerForPlants:
    """Requirement: a larger group, to find planted blocks, of which ``power`` are found and ``wanted`` should be.

    Rotations scatter by ``spread`` (a standard deviation), the excess over documents by ``error``, which is less: more
    documents would not help.
    """

    power: float
    wanted: float
    planted: float
    spread: float
    error: float


@dataclass(frozen=True)
class FaintDivision:
    """Requirement that nothing meets: clusters beyond chance, whose ``excess`` is less than the ``margin``."""

    excess: float
    margin: float


@dataclass(frozen=True)
class MoreRotations:
    """``needed`` rotations instead of ``here``."""

    needed: int
    here: int


def decide_clusters(tables: Tables, view: View, bounds: Bounds) -> Decision:
    """C4: is the division of the group clearer than that of rotated neurons, by less or by more than matters?

    A yes to clusters takes a small p and an interval above the margin. A no takes a large p, an interval below the
    margin, and the power to find planted blocks that are as clear as the group's own division.
    """
    top, margin = view.top_group(tables), bounds.cluster_margin
    statistic = Statistic(SEPARATION, top.name, view.condition, view.split, quantity=DIFFERENCE, against=ROTATION)
    find = view.finder(tables[TABLE], top.name, SEPARATION, against=ROTATION)
    tested, difference = find(VALUE), find(DIFFERENCE)
    if tested is None:
        return unmeasured(statistic, margin, top, absent_from=TABLE)
    if difference is None or not np.isfinite([tested["value"], tested["p_value"]]).all():
        return unmeasured(statistic, margin, top, reason=str(tested["reason"]))

    def number(measure: str) -> float:
        row = view.finder(tables[TABLE], top.name, measure)(VALUE)
        return np.nan if row is None else float(row["value"])

    excess, power, chance = Interval.of(difference), number(DIVISION_POWER), tested["p_value"] > bounds.alpha
    verdict: Verdict = "undecided"
    if chance and excess.ci_high < margin and power >= bounds.power:
        verdict = "supported"
    elif not chance and excess.ci_low > margin:
        verdict = "contradicted"
    controls: dict[str, pd.Series] = {
        kind: row
        for kind in CONTROL_KINDS
        if (row := view.finder(tables[TABLE], top.name, SEPARATION, against=kind)(VALUE)) is not None
    }
    evidence = Division(tested, number(COMMON_FACTOR), number(PLANTED_CORRELATION), bounds.power, controls)
    return Decision(
        verdict,
        statistic,
        evidence,
        tuple(_options(excess, evidence, power, bounds, top.size)),
        excess,
        tested["p_value"],
        tested["n"],
        power,
        margin,
        top,
    )


def _options(excess: Interval, found: Division, power: float, bounds: Bounds, size: int) -> Iterator[Option]:
    """What would decide it: documents, a larger group, or nothing."""
    margin, tested = bounds.cluster_margin, found.separation
    if tested["p_value"] <= bounds.alpha:
        faint = excess.ci_high < margin
        documents = more_documents(excess, "heldout", tested["n"], above=margin)
        yield Option((FaintDivision(excess.value, margin) if faint else documents,))
        return
    needed: list[ClearerPlants | LargerForPlants | MoreDocuments] = []
    if not power >= bounds.power:
        plants, spread = (power, bounds.power, found.planted), null_spread(tested)
        too_few_neurons = spread > excess.standard_error
        scatter = spread, excess.standard_error
        needed.append(LargerForPlants(*plants, *scatter) if too_few_neurons else ClearerPlants(*plants, tested["n"]))
    documents = more_documents(excess, "heldout", tested["n"], below=margin)
    if not excess.ci_high < margin:
        needed.append(documents)
    if not np.isinf(documents.times):
        yield Option(tuple(needed), "supported")
        return
    larger = more_neurons(excess.value, {**tested, "q_value": tested["p_value"]}, bounds.alpha, size)
    yield Option((_neurons(larger, excess, margin),), "contradicted")


def _neurons(
    needed: MoreControls | LargerGroup | None, excess: Interval, margin: float
) -> MoreRotations | LargerGroup | NothingPromising:
    if isinstance(needed, MoreControls):
        return MoreRotations(needed.needed, needed.here)
    return needed or NothingPromising(excess.value, margin, "heldout")
