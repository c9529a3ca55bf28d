"""What a screen of all heads found, how well it agrees with exact ablation, and how often it would miss routing."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from rareneurons.attention.choice import PLANTED, Choice
from rareneurons.attention.condition_pair import ConditionPair
from rareneurons.attention.head_estimates import EVERYTHING, GroupAndHeadEstimates, HeadEstimate
from rareneurons.attention.heads import KINDS, Head
from rareneurons.attention.on_neurons import SD, GroupEffects, Routing, found_if_planted, routes
from rareneurons.attention.screening import LOSS
from rareneurons.attention.selectivity import LEVEL, HeadBounds
from rareneurons.influence.screening import miss_rate, rank_correlation
from rareneurons.stats import largest_share
from rareneurons.tables import Estimate


def screen_estimates(choice: Choice, pair: ConditionPair, n_rows: Sequence[int]) -> GroupAndHeadEstimates:
    """First-order effects of every head: ``screened_effect`` and, on the loss, ``screened_delta_loss``.

    Args:
        choice: the screen and its groups.
        pair: the two conditions.
        n_rows: number of discovery rows of each.
    """
    found = GroupAndHeadEstimates()
    named = [(name, name, "screened_effect", SD) for name in (*choice.effects, EVERYTHING)]
    for name, group, measure, unit in [*named, (LOSS, EVERYTHING, "screened_delta_loss", "nats")]:
        for s, condition in enumerate(pair.names):
            for k, kind in enumerate(KINDS):
                one = Estimate(measure, float("nan"), unit, n_rows[s], part=kind)
                for place, size in zip(choice.screen.heads, choice.screen.sizes[name][s, k], strict=True):
                    found.heads.append(HeadEstimate(condition, group, *place, replace(one, value=float(size))))
    return found


def screening_quality(
    group: GroupEffects, pair: ConditionPair, routing: Routing, choice: Choice, alpha: float
) -> list[Estimate]:
    """How the screen agrees with mean ablation on held-out documents.

    Args:
        group: effects of the ablated heads that can reach the last MLP.
        pair: conditions and draws.
        routing: of the same heads.
        choice: the screen and the heads chosen by it.
        alpha: largest adjusted p-value of a head that routes.

    Returns:
        ``screening_correlation``: Spearman's correlation of first-order and exact effects on rare rows. Of the sampled
        heads, as shares with a one-sided Clopper-Pearson bound: ``screening_miss_rate``, those with a larger effect
        than as many of the other heads as become candidates by effect; ``missed_routing``, those that route. With no
        sampled heads both are unknown.
    """
    exact = pair.means(group.sums)[:, 0]
    first_order = dict(zip(choice.screen.heads, choice.effects[group.name], strict=True))
    sampled = np.isin(np.arange(len(exact)), [n for n, head in enumerate(group.heads) if head in choice.heads.sample])
    values = rank_correlation(np.array([first_order[head] for head in group.heads]), exact)
    missed = miss_rate(
        exact[~sampled].tolist(), exact[sampled].tolist(), min(choice.n_candidates, int((~sampled).sum())), LEVEL
    )
    pairs = zip(routing.selectivity, routing.share, strict=True)
    n_routing = sum(routes(*each, alpha) for each, is_sampled in zip(pairs, sampled, strict=True) if is_sampled)
    return [
        Estimate("screening_correlation", values[0], "Spearman's rho", len(exact), *values[1:], part=group.kind),
        _sampled_share("screening_miss_rate", missed.missed, missed.sampled, group.kind),
        _sampled_share("missed_routing", n_routing, int(sampled.sum()), group.kind),
    ]


def _sampled_share(measure: str, count: int, sampled: int, part: str) -> Estimate:
    """A share of the sampled heads, which bounds that of the heads that were not ablated."""
    if sampled == 0:
        return Estimate(measure, float("nan"), "share of heads", 0, part=part, reason="no head was sampled")
    upper = largest_share(count, sampled, LEVEL)
    return Estimate(measure, count / sampled, "share of heads", sampled, 0.0, upper, part=part)


def power_estimate(
    group: GroupEffects,
    pair: ConditionPair,
    bounds: HeadBounds,
    alpha: float,
    choice: Choice | None,
    reachable: Sequence[Head],
) -> Estimate:
    """``routing_power``: the chance that routing would be found if a head, drawn at random, had it.

    The head's effect on rare rows is doubled by routing, so that it makes up ``PLANTED``, one half, of it. It has to
    become a candidate, if it is not ablated anyway, and then to be found (:func:`found_if_planted`). A head that was
    not ablated is found as often as the sampled head that represents it.
    """
    found = found_if_planted(group, pair, bounds, alpha)[group.everyone]
    if choice is not None and len(found) == len(reachable):
        measured = [head in group.heads for head in reachable]
        found = found * np.where(measured, True, _is_named(choice, group.name, reachable))
    return Estimate(
        "routing_power", float(found.mean()), f"chance for a share of {PLANTED:g}", len(found), part=group.kind
    )


def _is_named(choice: Choice, group: str, heads: Sequence[Head]) -> np.ndarray:
    """Whether the screen would name each head; it names none for the sake of a group that it was not made for."""
    if group not in choice.shares:
        return np.zeros(len(heads), dtype=bool)
    return choice.named_if_planted(group, heads)
