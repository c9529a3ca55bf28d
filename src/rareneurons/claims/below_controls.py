"""Is a measure of the top neurons below that of their control groups? What C3 and C7 share."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from rareneurons.claims.decision import Verdict
from rareneurons.claims.interval import UNKNOWN, Interval
from rareneurons.claims.requirements import (
    Documents,
    LargerGroup,
    Measurable,
    MoreDocuments,
    NothingPromising,
    Option,
    more_documents,
    more_neurons,
)
from rareneurons.claims.view import Finder
from rareneurons.tables import DIFFERENCE, VALUE


@dataclass(frozen=True)
class Comparison:
    """A measure against control groups.

    ``answer``: is it below; ``relative``: its difference from the controls' mean, as a share of that mean;
    ``measured``: the value's row, with its controls and p; ``options``: what would decide it, of which one
    ``may_be_met``; ``reason``: why there is no number.
    """

    answer: Verdict
    options: tuple[Option, ...]
    relative: Interval = UNKNOWN
    measured: pd.Series | None = None
    may_be_met: bool = True
    reason: str = ""

    @property
    def p_value(self) -> float:
        """The adjusted p; NaN where there is none."""
        return np.nan if self.measured is None else float(self.measured["q_value"])


def below_controls(
    find: Finder, size: int, alpha: float, reduction: float, documents: Documents, rows: float
) -> Comparison | None:
    """Compare by adjusted p for a yes, and for a no by an interval that excludes a relevant reduction.

    Args:
        find: the measure's rows, of the quantities ``value`` and ``difference``.
        size: number of neurons of the group.
        alpha: largest adjusted p of a yes.
        reduction: share of the controls' mean that a no must exclude. A small group has few possible values: where even
            such a reduction lies among the central 95 % of control groups, a no says nothing.
        documents: what the interval is over.
        rows: number of rows that these documents have; NaN if it means nothing.

    Returns:
        The comparison; None where nothing is measured.
    """
    number, difference = find(VALUE), find(DIFFERENCE)
    if number is None:
        return None
    if difference is None or not np.isfinite([number["null_mean"], number["q_value"], difference["value"]]).all():
        reason = str(number["reason"])
        return Comparison("undecided", (Option((Measurable(reason),)),), reason=reason)
    relative = Interval.of(difference).over(number["null_mean"])
    answer: Verdict = "undecided"
    if number["q_value"] <= alpha and relative.value < 0:
        answer = "supported"
    elif _visible(number) < reduction and relative.ci_low > -reduction:
        answer = "contradicted"
    both = (
        *_supporting(number, relative, alpha, size),
        *_contradicting(number, relative, reduction, size, documents, rows),
    )
    hopeless = Option((NothingPromising(relative.value, -reduction, documents),))
    return Comparison(answer, both or (hopeless,), relative, number, bool(both))


def _visible(number: pd.Series) -> float:
    """The smallest reduction that lies outside the central 95 % of the control groups, as a share of their mean."""
    return float(1 - number["null_low"] / number["null_mean"])


def _supporting(number: pd.Series, relative: Interval, alpha: float, size: int) -> tuple[Option, ...]:
    """What a small p would take; empty where the group does not lie below, or no number of neurons is enough."""
    if not relative.value < 0:
        return ()
    needed = more_neurons(number["value"] - number["null_mean"], number, alpha, size)
    return () if needed is None else (Option((needed,), "supported"),)


def _contradicting(
    number: pd.Series, relative: Interval, reduction: float, size: int, documents: Documents, rows: float
) -> tuple[Option, ...]:
    """What excluding a relevant reduction would take; empty where no number of documents is enough."""
    needed: list[LargerGroup | MoreDocuments] = []
    if not _visible(number) < reduction:
        needed.append(LargerGroup((_visible(number) / reduction) ** 2, size))
    if not relative.ci_low > -reduction:
        documents_needed = more_documents(relative, documents, rows, above=-reduction)
        if np.isinf(documents_needed.times):
            return ()
        needed.append(documents_needed)
    return (Option(tuple(needed), "contradicted"),) if needed else ()
