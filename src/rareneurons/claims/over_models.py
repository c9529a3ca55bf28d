"""The verdict over a run's models: by the mean of a claim's number, if it has one, or by at least four that agree.

Models that differ only in their seed are no sample of models. They are combined first, as one kind of model.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np

from rareneurons.claims.decision import Decision, Statistic, Verdict
from rareneurons.claims.interval import Interval
from rareneurons.claims.requirements import CHANCE, MOST_TIMES, Option
from rareneurons.conventions import ALL_MODELS
from rareneurons.stats import NORMAL_95, RandomEffects, largest_share, random_effects

Decisions = Mapping[str, Decision]  # by model
Unit = Literal["model", "seed", "kind"]  # what is counted: models, seeds of one kind of model, or kinds of models
LEAST_AGREEING = 4  # models that must agree where no mean decides: two or three are no sample of models
SHARE_OF_MODELS = "share_of_models"
MEAN_OVER_MODELS = "mean_over_models"


@dataclass(frozen=True)
class Tally:
    """Evidence: each verdict and the models that have it; they count as ``unit``."""

    models: Mapping[Verdict, tuple[str, ...]]
    unit: Unit

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
    number of models without an interval or a premise; ``contradicted_above``: the bound on the other side; ``power``:
    the least of the averaged models' tests, NaN where the claim's rule has none, and the ``least_power`` that it needs.
    """

    tally: Tally
    spread: float
    heterogeneity: float
    left_out: int
    contradicted_above: float
    power: float
    least_power: float


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
    unit: Unit


@dataclass(frozen=True)
class ModelsBetween:
    """Requirement: models between those that support the claim and those that contradict it."""

    supporting: tuple[str, ...]
    contradicting: tuple[str, ...]
    unit: Unit


@dataclass(frozen=True)
class MoreModelsLikeThese:
    """Requirement: ``needed`` models instead of ``here``; None if it would take more than ``most``."""

    needed: int | None
    here: int
    most: int
    unit: Unit


def summaries(
    decisions: Decisions, supported_below: float | None, replicate_of: Mapping[str, str], least_power: float
) -> dict[str, Decision]:
    """The decisions on a claim over the seeds of each kind of model, and over all models; none of a single model.

    Seeds are nested in kinds: a kind's verdict and number are those over its seeds, and the models' are those over
    kinds. Seeds of one kind differ less than kinds do, so taking all models as one sample would give an interval that
    is too narrow.

    Args:
        decisions: the decision for each model.
        supported_below: as :func:`over_models` takes it.
        replicate_of: model -> name of its kind, of models that others repeat with another seed.
        least_power: as :func:`over_models` takes it.

    Returns:
        By the name of a kind with several seeds; ``ALL_MODELS`` where there are several kinds.
    """
    kinds: dict[str, dict[str, Decision]] = {}
    for model, decision in decisions.items():
        kinds.setdefault(replicate_of.get(model, model), {})[model] = decision
    over_seeds = {
        kind: over_models(seeds, supported_below, least_power, "seed")
        for kind, seeds in kinds.items()
        if len(seeds) > 1
    }
    if len(kinds) < 2:
        return over_seeds
    alone = {model: decision for seeds in kinds.values() if len(seeds) == 1 for model, decision in seeds.items()}
    unit: Unit = "kind" if over_seeds else "model"
    return over_seeds | {ALL_MODELS: over_models(alone | over_seeds, supported_below, least_power, unit)}


def over_models(
    decisions: Decisions, supported_below: float | None, least_power: float, unit: Unit = "model"
) -> Decision:
    """The decision on a claim over all models.

    The interval of the mean decides, or at least ``LEAST_AGREEING`` models, and more than half of all, that agree. In
    both cases no model may have the opposite verdict. Models in which a claim's premise is not met are left out of the
    mean. A mean does not support a claim if a model's own test would not have found the opposite: many tests without
    power do not have it together.

    Args:
        decisions: the decision for each of at least two models.
        supported_below: the claim's number speaks for it below this, and against it above its ``bound``; None for a
            claim without a number that models can be averaged over.
        least_power: of each model's test, for a mean that supports a claim whose rule has a power.
        unit: what the decisions are about; kinds of models may be decisions of this function.
    """
    numbers = {
        model: decision.number
        for model, decision in decisions.items()
        if not isinstance(decision.evidence, Tally)  # its number is a share of seeds
        and decision.number.is_known
        and decision.number.ci_high > decision.number.ci_low
        and (decision.premise is None or decision.premise.answer == "met")
    }
    if supported_below is None or len(numbers) < 2:
        return _counted(decisions, unit)
    return _averaged(decisions, numbers, supported_below, least_power, unit)


def _tally(decisions: Decisions, unit: Unit) -> Tally:
    return Tally(
        {
            verdict: tuple(model for model, decision in decisions.items() if decision.verdict == verdict)
            for verdict in get_args(Verdict)
        },
        unit,
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


def _counted(decisions: Decisions, unit: Unit) -> Decision:
    """Share of models that support the claim, with Clopper and Pearson's interval and the sign test of the decided."""
    from scipy.special import bdtrc  # scipy.stats takes longer to load than all verdicts

    tally = _tally(decisions, unit)
    yes, no, n = tally.count("supported"), tally.count("contradicted"), tally.n
    most = max(yes, no)
    low, high = 1 - largest_share(n - yes, n, 0.975), largest_share(yes, n, 0.975)
    return Decision(
        _verdict(tally),
        _statistic(decisions, SHARE_OF_MODELS),
        tally,
        (_lacking(tally),),
        Interval(yes / n, low, high),
        min(1.0, 2 * float(bdtrc(most - 1, yes + no, 0.5))) if most else np.nan,
        n,
        bound=0.5,
    )


def _lacking(tally: Tally) -> Option:
    """Verdicts or models that lack for enough models that agree, without a contradiction."""
    yes, no, undecided = (tally.models[verdict] for verdict in get_args(Verdict))
    if yes and no:
        return Option((ModelsBetween(yes, no, tally.unit),))
    lacking = _agreeing(tally.n) - len(yes or no)
    from_here = min(lacking, len(undecided))
    side: Literal["supported", "contradicted", ""] = "supported" if yes else "contradicted" if no else ""
    here = (MoreVerdicts(side, from_here, undecided),) if from_here else ()
    further = (MoreModels(lacking - from_here, tally.unit),) if lacking > from_here else ()
    return Option((*here, *further))


def _averaged(
    decisions: Decisions, numbers: Mapping[str, Interval], supported_below: float, least_power: float, unit: Unit
) -> Decision:
    """The claim's number averaged over the models that have an interval."""
    tally, bound = _tally(decisions, unit), _contradicted_above(decisions)
    values = np.array([number.value for number in numbers.values()])
    errors = np.array([number.ci_high - number.ci_low for number in numbers.values()]) / (2 * NORMAL_95)
    found, n = random_effects(values, errors, supported_below), len(numbers)
    power = min((_power(decisions[model]) for model in numbers), key=lambda each: (np.isnan(each), each))
    says: Verdict = "undecided"
    options = [_lacking(tally)]
    if found.ci_high < supported_below:
        says = "undecided" if power < least_power else "supported"
    elif found.ci_low > bound:
        says = "contradicted"
    else:
        options.append(Option((_more_models(found, n, supported_below, bound, unit),)))
    return Decision(
        _verdict(tally, says),
        _statistic(decisions, MEAN_OVER_MODELS),
        Mean(tally, found.spread, found.heterogeneity, tally.n - n, bound, power, least_power),
        tuple(options),
        Interval(found.mean, found.ci_low, found.ci_high),
        found.p_value,
        n,
        bound=supported_below,
    )


def _power(decision: Decision) -> float:
    """The power of a model's test; of a kind of models, the least of its seeds'."""
    return decision.evidence.power if isinstance(decision.evidence, Mean) else decision.power


def _contradicted_above(decisions: Decisions) -> float:
    """The bound on the other side; a mean over seeds keeps that of its models as evidence."""
    first = next(decision for decision in decisions.values() if not isinstance(decision.evidence, Tally))
    return first.evidence.contradicted_above if isinstance(first.evidence, Mean) else first.bound


def _more_models(found: RandomEffects, n: int, supported_below: float, bound: float, unit: Unit) -> MoreModelsLikeThese:
    """Models until the mean's interval clears the nearer bound, if mean and scatter stay."""
    from scipy.special import stdtrit

    scatter = (found.ci_high - found.mean) / stdtrit(n - 1, 0.975) * np.sqrt(n)
    k = np.arange(n + 1, n * MOST_TIMES)
    reach = (stdtrit(k - 1, 0.975) + stdtrit(k - 1, CHANCE)) * scatter / np.sqrt(k)
    enough = k[reach < max(supported_below - found.mean, found.mean - bound)]
    return MoreModelsLikeThese(int(enough[0]) if len(enough) else None, n, n * MOST_TIMES, unit)
