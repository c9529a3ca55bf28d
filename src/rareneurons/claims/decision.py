"""What a claim's rule returns: a verdict and the numbers it rests on, without words."""

from dataclasses import dataclass
from typing import Any, Literal

from rareneurons.claims.interval import NAN, UNKNOWN, Interval
from rareneurons.claims.requirements import Measurable, Option
from rareneurons.claims.view import Split, TopGroup
from rareneurons.tables import VALUE

Verdict = Literal["supported", "contradicted", "undecided"]


@dataclass(frozen=True)
class Statistic:
    """Which number of which table a verdict rests on, in the columns of ``tables.MEASURE_KEYS``, and its split."""

    measure: str
    group: str
    condition: str
    split: Split
    part: str = ""
    quantity: str = VALUE
    against: str = ""


@dataclass(frozen=True)
class Unmeasured:
    """Evidence where there is no number: the measure's own ``reason``, or the table that has no row of the group."""

    reason: str = ""
    absent_from: str = ""


@dataclass(frozen=True)
class Premise:
    """Whether there are rare-token neurons for a claim to be about, according to C8 (``selectivity``).

    ``claim`` is C8, or the claim that replaces it.

    ``answer``: C8 finds them (``met``), finds none with power (``fails``), or is undecided (``open``). ``by_rule``: the
    verdict of the claim's own rule on the neurons that it looked at.
    """

    answer: Literal["met", "fails", "open"]
    by_rule: Verdict
    selectivity: "Decision"
    claim: str = "C8"


@dataclass(frozen=True)
class Decision:
    """A verdict and what it rests on.

    ``number``: the statistic; ``p_value``: of the primary test, and ``adjusted_p`` after Holm's adjustment for the
    model's claims, NaN where the rule's verdict does not rest on it; ``n``: what the rule says it counts; ``power``:
    of the test, where the rule has one; ``bound``: where the number begins to matter. ``evidence``: all numbers that
    went into the verdict, as the rule's own class, or :class:`Unmeasured`. ``neurons``: the group it is about, if it is
    about one. ``options``: what would decide it, each by itself; of interest only where it is undecided. ``premise``:
    of a claim about rare-token neurons.
    """

    verdict: Verdict
    statistic: Statistic
    evidence: Any
    options: tuple[Option, ...] = ()
    number: Interval = UNKNOWN
    p_value: float = NAN
    n: float = 0
    power: float = NAN
    bound: float = NAN
    neurons: TopGroup | None = None
    adjusted_p: float = NAN
    premise: Premise | None = None


def unmeasured(
    statistic: Statistic, bound: float, neurons: TopGroup, reason: str = "", absent_from: str = ""
) -> Decision:
    """The decision where a group has no number, for the measure's reason or because a table has no row of it."""
    option = Option((Measurable(reason, absent_from),))
    evidence = Unmeasured(reason, absent_from)
    return Decision("undecided", statistic, evidence, (option,), bound=bound, neurons=neurons)
