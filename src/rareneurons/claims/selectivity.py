"""C8: do the most influential or the most selective neurons matter more for rare targets than for common ones?"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from rareneurons.claims.bounds import Bounds
from rareneurons.claims.decision import Decision, Statistic, Verdict, unmeasured
from rareneurons.claims.interval import NAN, UNKNOWN, Interval
from rareneurons.claims.requirements import NothingPromising, Option, more_documents
from rareneurons.claims.view import Tables, TopGroup, View
from rareneurons.conventions import SELECTIVE, TOP
from rareneurons.dynamics.untrained import UNTRAINED
from rareneurons.joint.measures import DELTA_LOSS, MATCHED_ROWS
from rareneurons.stats import NORMAL_95
from rareneurons.tables import DIFFERENCE, EXCESS

TABLE = "joint"
SHUFFLED, CHOSEN_AGAIN = "shuffled", "chosen_again"


@dataclass(frozen=True)
class Comparison:
    """A group's excess over what it is compared with (``against``), nats, and the one-sided p of none.

    ``power``: chance that an excess of the relevant size would be found, by the error of this one.
    """

    against: str
    excess: Interval
    p_value: float
    power: float


@dataclass(frozen=True)
class Selectivity:
    """How much more a group matters for rare targets, on ``n`` pairs of rows of equal clean loss and position.

    ``difference``: rare less common, nats, which must exceed zero; ``difference_power``: chance that it would be found
    to, if it were of the relevant size; ``comparisons``: what else the group must exceed, each by itself;
    ``beyond_shuffled``: its excess over the neurons chosen with shuffled labels, where that decides nothing;
    ``chosen_again``: share of its neurons that are also chosen with shuffled labels.
    """

    neurons: TopGroup
    n: float
    difference: Interval
    difference_power: float
    comparisons: tuple[Comparison, ...]
    beyond_shuffled: Interval = UNKNOWN
    chosen_again: float = NAN

    @property
    def weakest(self) -> Comparison:
        """The comparison with the largest p."""
        return max(self.comparisons, key=lambda each: each.p_value)

    @property
    def p_value(self) -> float:
        """One-sided p of all that must hold: the largest of the comparisons' and of the difference's own (Berger 1982).

        A group that matters less for rare targets than for common ones may still exceed control groups of which this
        is even more true.
        """
        return max(self.weakest.p_value, _p_of_none(self.difference))

    @property
    def power(self) -> float:
        """A lower bound of the chance that a difference and excesses of the relevant size are all found.

        All of them share the group's own number, so they err in the same direction (Slepian 1962).
        """
        return float(np.prod([self.difference_power, *(each.power for each in self.comparisons)]))

    def is_too_small(self, margin: float) -> bool:
        """Whether the excess over something that it must exceed is below the margin."""
        return any(each.excess.ci_high < margin for each in self.comparisons)


@dataclass(frozen=True)
class Selectivities:
    """Evidence: both groups, and which of them the verdict shows."""

    groups: tuple[Selectivity, ...]
    shown: Selectivity


def decide_selectivity(tables: Tables, view: View, bounds: Bounds) -> Decision:
    """C8: a group matters more for rare targets than for common ones, and by more than the groups it is compared with.

    Both groups are compared with matched groups and with the untrained model, the selective one also with shuffled
    groups.
    """
    names = (view.chosen(SELECTIVE), view.chosen(TOP)) if view.group is None else (view.group,)
    alpha, margin = bounds.alpha / len(names), bounds.selectivity_margin
    measured = [_selectivity(name, tables, view, alpha, margin) for name in names]
    found = [each for each in measured if each is not None]
    if not found:
        neurons, reason = view.named_group(names[-1], tables), _reason(names[-1], tables, view)
        statistic = _statistic(names[-1], view.controls, view)
        return unmeasured(statistic, margin, neurons, reason, "" if reason else TABLE)
    passing = [each for each in found if each.p_value <= alpha]
    shown = passing[0] if passing else min(found, key=lambda each: each.p_value)
    power = min(each.power for each in found)
    verdict: Verdict = "undecided"
    if passing:
        verdict = "supported"
    elif len(found) == len(names) and power >= bounds.power and all(each.is_too_small(margin) for each in found):
        verdict = "contradicted"
    return Decision(
        verdict,
        _statistic(shown.neurons.name, shown.weakest.against, view),
        Selectivities(tuple(found), shown),
        (_option(shown, margin),),
        shown.weakest.excess,
        min(1.0, len(names) * shown.p_value),
        shown.n,
        power,
        margin,
        shown.neurons,
    )


def selected_group(decision: Decision) -> str | None:
    """The group that C8 finds selective by its own choice; None where it finds none, or the paper's alone."""
    if decision.verdict == "supported" and decision.neurons is not None and decision.neurons.is_selective:
        return decision.neurons.name
    return None


def _statistic(group: str, against: str, view: View) -> Statistic:
    return Statistic(DELTA_LOSS, group, view.difference, view.split, MATCHED_ROWS, EXCESS, against)


def _row(name: str, tables: Tables, view: View, quantity: str, against: str) -> pd.Series | None:
    """A number of a group on matched rows; what is against the untrained model is in the dynamics table."""
    table = tables.get("dynamics" if against == UNTRAINED else TABLE)
    if table is None:
        return None
    return view.finder(table, name, DELTA_LOSS, MATCHED_ROWS, against, view.difference)(quantity)


def _reason(name: str, tables: Tables, view: View) -> str:
    number = _row(name, tables, view, EXCESS, view.controls)
    return "" if number is None else str(number["reason"]) or "its interval needs at least two documents"


def _selectivity(name: str, tables: Tables, view: View, alpha: float, margin: float) -> Selectivity | None:
    """A group's numbers; None where it has no excess over a kind of control groups that it must exceed."""
    comparisons = tuple(_comparisons(name, tables, view, alpha, margin))
    difference = _row(name, tables, view, DIFFERENCE, view.controls)
    if difference is None or not Interval.of(difference).is_known:
        return None
    asked = {kind for kind in _controls(name, view) if _row(name, tables, view, DIFFERENCE, kind) is not None}
    if not asked <= {each.against for each in comparisons}:
        return None
    shuffled, again = _row(name, tables, view, EXCESS, SHUFFLED), None
    if "group_match" in tables:
        again = view.finder(tables["group_match"], name, CHOSEN_AGAIN, against=SHUFFLED)("value")
    own = Interval.of(difference)
    return Selectivity(
        view.named_group(name, tables),
        float(difference["n"]),
        own,
        _power(_error_towards_zero(own), alpha, margin),
        comparisons,
        UNKNOWN if shuffled is None else Interval.of(shuffled),
        NAN if again is None else float(again["value"]),
    )


def _controls(name: str, view: View) -> tuple[str, ...]:
    """The kinds of control groups that a group must exceed."""
    return (view.controls, SHUFFLED) if name == view.chosen(SELECTIVE) else (view.controls,)


def _comparisons(name: str, tables: Tables, view: View, alpha: float, margin: float) -> Iterator[Comparison]:
    """What there is of the excesses that a group must have.

    The most influential neurons need not exceed those chosen with shuffled labels, which may be the same neurons.
    """
    for against in (*_controls(name, view), UNTRAINED):
        number = _row(name, tables, view, EXCESS, against)
        if number is not None and np.isfinite([number["value"], number["ci_low"], number["p_value"]]).all():
            yield _comparison(against, number, alpha, margin)


def _comparison(against: str, number: pd.Series, alpha: float, margin: float) -> Comparison:
    excess, two_sided = Interval.of(number), float(number["p_value"])
    error = (excess.ci_high - excess.ci_low) / (2 * NORMAL_95)
    p_value = two_sided / 2 if excess.value > 0 else 1 - two_sided / 2
    return Comparison(against, excess, p_value, _power(error, alpha, margin))


def _power(error: float, alpha: float, margin: float) -> float:
    """Chance that a number with this standard error, which is truly at the margin, is found to exceed zero."""
    from scipy.special import ndtr, ndtri

    return float(ndtr(margin / error + ndtri(alpha))) if error > 0 else 1.0


def _p_of_none(difference: Interval) -> float:
    """One-sided p of a difference that is not above zero, by the half of its interval that faces zero."""
    from scipy.special import ndtr

    error = _error_towards_zero(difference)
    return float(ndtr(-difference.value / error)) if error > 0 else float(difference.value <= 0)


def _error_towards_zero(difference: Interval) -> float:
    """Standard error by the half of an interval that faces zero."""
    return (difference.value - difference.ci_low) / NORMAL_95


def _option(shown: Selectivity, margin: float) -> Option:
    """Documents that clear the weakest comparison of zero or of the margin, or the group's own difference of zero."""
    number, bound, below = shown.weakest.excess, margin, margin
    if shown.p_value > shown.weakest.p_value:  # a difference below zero decides nothing
        number, bound, below = shown.difference, 0.0, -np.inf
    needed = more_documents(number, "heldout", shown.n, above=0, below=below)
    return Option((NothingPromising(number.value, bound, "heldout") if np.isinf(needed.times) else needed,))
