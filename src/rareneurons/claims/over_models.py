"""What holds over a run's models: the mean of a claim's number where it has one, or at least four that agree."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np

from rareneurons.claims.decision import Decision, Statistic, Verdict
from rareneurons.claims.interval import Interval
from rareneurons.claims.requirements import CHANCE, MOST_TIMES, Option
from rareneurons.stats import NORMAL_95, RandomEffects, random_effects

Decisions = Mapping[str, Decision]  # by model
LEAST_AGREEING = 4  # models that must agree where no mean decides: two or three are no sample of models
SHARE_OF_MODELS = "share_of_models"
MEAN_OVER_MODELS = "mean_over_models"


@dataclass(frozen=True)
class Tally:
    """Evidence: each verdict and the models that have it."""

    models: Mapping[Verdict, tuple[str, ...]]

    @property
    def n(self) -> int:
        """Number of models."""
        return sum(map(len, self.models.values()))

    def count(self, verdict: Verdict) -> int:
        """Number of models with the verdict."""
        return len(self.models[verdict])


@dataclass(frozen=True)
class Mean:
    """Evidence: the models' verdicts, and their mean number.

    ``spread``: standard deviation of the models' true values; ``heterogeneity``: I squared, 0 to 1; ``left_out``:
    number of models without an interval or a premise; ``contradicted_above``: the bound on the other side.
    """

    tally: Tally
    spread: float
    heterogeneity: float
    left_out: int
    contradicted_above: float


@dataclass(frozen=True)
class MoreVerdicts:
    """Requirement: the ``verdict`` (any, but the same, if empty) for ``n`` more of the ``models``."""

    verdict: Literal["supported", "contradicted", ""]
    n: int
    models: tuple[str, ...]


@dataclass(frozen=True)
class MoreModels:
    """Requirement: ``n`` more models, so that at least ``LEAST_AGREEING`` can agree."""

    n: int


@dataclass(frozen=True)
class ModelsBetween:
    """Requirement: models between those that support the claim and those that contradict it."""

    supporting: tuple[str, ...]
    contradicting: tuple[str, ...]


@dataclass(frozen=True)
class MoreModelsLikeThese:
    """Requirement: ``needed`` models instead of ``here``; None if it would take more than ``most``."""

    needed: int | None
    here: int
    most: int


def over_models(decisions: Decisions, supported_below: float | None) -> Decision:
    """The decision on a claim over all models.

    The interval of the mean decides, or ``LEAST_AGREEING`` models and more than half of all that agree; either way no
    model may say the opposite. Models in which a claim's premise is not met have no part in the mean.

    Args:
        decisions: the decision for each of at least two models.
        supported_below: the claim's number speaks for it below this, and against it above its ``bound``; None for a
            claim without a number that models can be averaged over.
    """
    numbers = {
        model: decision.number
        for model, decision in decisions.items()
        if decision.number.is_known
        and decision.number.ci_high > decision.number.ci_low
        and (decision.premise is None or decision.premise.answer == "met")
    }
    if supported_below is None or len(numbers) < 2:
        return _counted(decisions)
    return _averaged(decisions, numbers, supported_below)


def _tally(decisions: Decisions) -> Tally:
    return Tally(
        {
            verdict: tuple(model for model, decision in decisions.items() if decision.verdict == verdict)
            for verdict in get_args(Verdict)
        }
    )


def _verdict(tally: Tally, mean_says: Verdict = "undecided") -> Verdict:
    """By the models' verdicts and what their mean says."""
    yes, no, enough = tally.count("supported"), tally.count("contradicted"), _agreeing(tally.n)
    if not no and (yes >= enough or mean_says == "supported"):
        return "supported"
    return "contradicted" if not yes and (no >= enough or mean_says == "contradicted") else "undecided"


def _agreeing(n: int) -> int:
    """How many of n models must agree."""
    return max(LEAST_AGREEING, n // 2 + 1)


def _statistic(decisions: Decisions, quantity: str) -> Statistic:
    return replace(next(iter(decisions.values())).statistic, quantity=quantity)


def _counted(decisions: Decisions) -> Decision:
    """Share of models that support the claim, with Clopper and Pearson's interval and the sign test of the decided."""
    from scipy.special import bdtrc, betaincinv  # scipy.stats takes longer to load than all verdicts

    tally = _tally(decisions)
    yes, no, n = tally.count("supported"), tally.count("contradicted"), tally.n
    most = max(yes, no)
    low = betaincinv(yes, n - yes + 1, 0.025) if yes else 0.0
    high = betaincinv(yes + 1, n - yes, 0.975) if yes < n else 1.0
    return Decision(
        _verdict(tally),
        _statistic(decisions, SHARE_OF_MODELS),
        tally,
        (_lacking(tally),),
        Interval(yes / n, float(low), float(high)),
        min(1.0, 2 * float(bdtrc(most - 1, yes + no, 0.5))) if most else np.nan,
        n,
        bound=0.5,
    )


def _lacking(tally: Tally) -> Option:
    """Verdicts or models that lack for enough models that agree, without a contradiction."""
    yes, no, undecided = (tally.models[verdict] for verdict in get_args(Verdict))
    if yes and no:
        return Option((ModelsBetween(yes, no),))
    lacking = _agreeing(tally.n) - len(yes or no)
    from_here = min(lacking, len(undecided))
    side: Literal["supported", "contradicted", ""] = "supported" if yes else "contradicted" if no else ""
    here = (MoreVerdicts(side, from_here, undecided),) if from_here else ()
    return Option((*here, *((MoreModels(lacking - from_here),) if lacking > from_here else ())))


def _averaged(decisions: Decisions, numbers: Mapping[str, Interval], supported_below: float) -> Decision:
    """The claim's number averaged over the models that have an interval."""
    tally, bound = _tally(decisions), next(iter(decisions.values())).bound
    values = np.array([number.value for number in numbers.values()])
    errors = np.array([number.ci_high - number.ci_low for number in numbers.values()]) / (2 * NORMAL_95)
    found, n = random_effects(values, errors, supported_below), len(numbers)
    says: Verdict = "undecided"
    if found.ci_high < supported_below:
        says = "supported"
    elif found.ci_low > bound:
        says = "contradicted"
    return Decision(
        _verdict(tally, says),
        _statistic(decisions, MEAN_OVER_MODELS),
        Mean(tally, found.spread, found.heterogeneity, tally.n - n, bound),
        (_lacking(tally), Option((_more_models(found, n, supported_below, bound),))),
        Interval(found.mean, found.ci_low, found.ci_high),
        found.p_value,
        n,
        bound=supported_below,
    )


def _more_models(found: RandomEffects, n: int, supported_below: float, bound: float) -> MoreModelsLikeThese:
    """Models until the mean's interval clears the nearer bound, if mean and scatter stay."""
    from scipy.special import stdtrit

    scatter = (found.ci_high - found.mean) / stdtrit(n - 1, 0.975) * np.sqrt(n)
    k = np.arange(n + 1, n * MOST_TIMES)
    reach = (stdtrit(k - 1, 0.975) + stdtrit(k - 1, CHANCE)) * scatter / np.sqrt(k)
    enough = k[reach < max(supported_below - found.mean, found.mean - bound)]
    return MoreModelsLikeThese(int(enough[0]) if len(enough) else None, n, n * MOST_TIMES)
