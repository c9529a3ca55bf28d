"""Effects of heads on a group of neurons: size, concentration and selectivity, each compared with control groups."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from rareneurons.attention.concentration import CONCENTRATION, permuted_means
from rareneurons.attention.condition_pair import ConditionPair
from rareneurons.attention.head_estimates import GroupAndHeadEstimates, HeadEstimate, with_bootstrap_interval
from rareneurons.attention.heads import AblationKind
from rareneurons.attention.routing import Effects
from rareneurons.attention.selectivity import adjusted_over_heads, selectivity_beyond
from rareneurons.groups import ControlledGroup, ControlledGroups
from rareneurons.stats import Alternative, against_controls, benjamini_hochberg
from rareneurons.tables import Estimate

SD = "standard deviations"


def averages(drawn: np.ndarray, varies: np.ndarray) -> np.ndarray:
    """Weights that average over the varying neurons of each group.

    Args:
        drawn: (m, n) neuron indices of m groups.
        varies: boolean (N,), whether each neuron varies.

    Returns:
        (N, m); NaN for a group in which no neuron varies.
    """
    weights = np.zeros((len(varies), len(drawn)))
    weights[drawn, np.arange(len(drawn))[:, None]] = varies[drawn]
    n = weights.sum(0)
    return weights / np.where(n > 0, n, np.nan)


def readout_weights(groups: ControlledGroups, varies: np.ndarray) -> dict[str, np.ndarray]:
    """Averages over neurons that are summed by document: each group, and the mean of its matched groups.

    Args:
        groups: those that are measured.
        varies: boolean (N,), neurons that count.

    Returns:
        ``<group>`` and ``<group>.matched`` -> (N,) weights that sum to 1; NaN where there are no such neurons.
    """
    found = {}
    for name, group in groups.items():
        found[name] = averages(group.members[None], varies)[:, 0]
        matched = averages(group.controls["matched"], varies)
        found[f"{name}.matched"] = matched.mean(1) if matched.shape[1] else np.full(len(varies), np.nan)
    return found


@dataclass(frozen=True)
class GroupEffects:
    """Effects of H heads in one kind of ablation on one group and its controls.

    ``heads``: (layer, head). ``sums`` and ``matched`` (H, 2, D): effect on the group, and on the mean of its matched
    groups, summed over the rows of each document. ``null``: kind of controls -> (H, 2, m), means over rows.
    """

    name: str
    kind: AblationKind
    heads: list[tuple[int, int]]
    sums: np.ndarray
    matched: np.ndarray
    null: dict[str, np.ndarray]


def group_effects(
    effects: Effects, name: str, group: ControlledGroup, kind: AblationKind, places: np.ndarray
) -> GroupEffects:
    """Effects of the ablations at ``places``, all of one kind, on a group of that name."""
    by_neuron = effects.by_neuron[places]
    return GroupEffects(
        name,
        kind,
        [effects.ablations[place].heads[0] for place in places],
        effects.by_document[name][places],
        effects.by_document[f"{name}.matched"][places],
        {what: by_neuron @ averages(drawn, effects.varies) for what, drawn in group.controls.items()},
    )


def size_estimates(group: GroupEffects, pair: ConditionPair) -> GroupAndHeadEstimates:
    """``head_effect`` of each head against matched controls, and its mean over heads against both kinds."""
    found = GroupAndHeadEstimates()
    means, draws = pair.means(group.sums), pair.draws(group.sums)
    for s, condition in enumerate(pair.names):
        n = int(pair.n[s])
        for h, place in enumerate(group.heads):
            one = Estimate("head_effect", float(means[h, s]), SD, n, part=group.kind, against="matched")
            tested = against_controls(one, draws[h, s], group.null["matched"][h, s], "greater")
            found.heads.append(HeadEstimate(condition, group.name, *place, tested))
        for what, null in group.null.items():
            mean = Estimate("head_effect", float(means[:, s].mean()), SD, n, part=group.kind, against=what)
            tested = against_controls(mean, draws[:, s].mean(0), null[:, s].mean(0), "greater")
            found.groups.append((condition, group.name, tested))
    return found


def concentration_estimates(
    group: GroupEffects, pair: ConditionPair, n_permutations: int, rng: np.random.Generator
) -> GroupAndHeadEstimates:
    """Gini coefficient and top share over heads, against controls and against permuted heads.

    Each head has a row ``head_effect`` against ``permuted``. Its null is the effect that takes the head's rank when
    heads are permuted; there is no test.
    """
    found = GroupAndHeadEstimates()
    means, draws = pair.means(group.sums), pair.draws(group.sums)
    for s, condition in enumerate(pair.names):
        n, permuted = int(pair.n[s]), permuted_means(group.sums[:, s], pair.rows[s], n_permutations, rng)
        nulls = {what: null[:, s].T for what, null in group.null.items()} | {"permuted": permuted}
        for measure, of in CONCENTRATION.items():
            for what, null in nulls.items():
                one = Estimate(measure, float(of(means[:, s])), "share", n, part=group.kind, against=what)
                alternative: Alternative = "greater" if what == "permuted" else "two-sided"
                tested = against_controls(one, of(draws[:, s].T), of(null), alternative)
                found.groups.append((condition, group.name, tested))
        for rank, h in enumerate(np.argsort(-means[:, s], kind="stable")):
            one = Estimate("head_effect", float(means[h, s]), SD, n, part=group.kind, against="permuted")
            beside = against_controls(one, draws[h, s], permuted[:, rank], "greater")
            beside = replace(beside, p_value=float("nan"))
            found.heads.append(HeadEstimate(condition, group.name, *group.heads[int(h)], beside))
    return found


def selectivity_estimates(group: GroupEffects, pair: ConditionPair, alpha: float) -> GroupAndHeadEstimates:
    """Rare less common of each head, by itself and beyond matched controls, and which heads route.

    Args:
        group: effects of all heads that reach the last MLP.
        pair: conditions and draws.
        alpha: largest adjusted p-value of a head that routes.

    Returns:
        Of heads, in turn: ``selectivity`` (p-value clustered by document, q-value over heads by Benjamini-Hochberg) and
        ``routing`` against ``matched`` (p-value adjusted over heads). Of the group: the mean ``selectivity`` against
        each kind of controls, and :func:`routing_summary`.
    """
    found = GroupAndHeadEstimates()
    condition, n, value, draws, p = pair.compared(group.sums)[-1]
    q = benjamini_hochberg(p)
    null = {what: each[:, 0] - each[:, 1] for what, each in group.null.items()}
    reference = pair.means(group.matched)
    beyond = selectivity_beyond(pair.means(group.sums), reference)
    beyond_draws = selectivity_beyond(pair.draws(group.sums), pair.draws(group.matched))
    adjusted = adjusted_over_heads(beyond, selectivity_beyond(group.null["matched"], reference[..., None]))
    for h, place in enumerate(group.heads):
        plain = Estimate(
            "selectivity", float(value[h]), SD, n, p_value=float(p[h]), part=group.kind, q_value=float(q[h])
        )
        more = Estimate(
            "routing", float(beyond[h]), SD, n, p_value=float(adjusted[h]), part=group.kind, against="matched"
        )
        for each, drawn in ((plain, draws[h]), (more, beyond_draws[h])):
            found.heads.append(HeadEstimate(condition, group.name, *place, with_bootstrap_interval(each, drawn)))
    summary = []
    for what, controls in null.items():
        mean = Estimate("selectivity", float(value.mean()), SD, n, part=group.kind, against=what)
        summary.append(against_controls(mean, draws.mean(0), controls.mean(0), "two-sided"))
    summary += routing_summary(group.kind, found.heads[::2], found.heads[1::2], alpha)
    found.groups.extend((condition, group.name, each) for each in summary)
    return found


def is_selective(selectivity: HeadEstimate, alpha: float) -> bool:
    """Whether a head moves the group more on rare than on common rows: its q-value is at most ``alpha``."""
    return bool(selectivity.estimate.value > 0 and selectivity.estimate.q_value <= alpha)


def routes(selectivity: HeadEstimate, routing: HeadEstimate, alpha: float) -> bool:
    """Whether a head routes rare rows to a group.

    It is selective (:func:`is_selective`), and by more than matched groups and the other heads explain
    (:func:`selectivity_beyond`): the interval of that excess lies above 0, and at most a share ``alpha`` of the matched
    groups have any head that differs as much.
    """
    more = routing.estimate
    return bool(is_selective(selectivity, alpha) and more.ci_low > 0 and more.p_value <= alpha)


def _why_nothing_stands_out(n_heads: int) -> str:
    if n_heads < 3:
        return f"{n_heads} heads reach the last MLP; at least 3 are needed to compare one with the others"
    return "no matched controls: too few other neurons"


def routing_summary(
    kind: AblationKind, selectivity: Sequence[HeadEstimate], routing: Sequence[HeadEstimate], alpha: float
) -> list[Estimate]:
    """How many heads are selective and how many route, and the largest routing.

    ``largest_routing`` is the largest value, with the lower end of its own interval. Its upper end is the *highest* of
    all heads, so that no head routes more than that. Its p-value is the smallest of all heads.
    """
    n_selective = sum(is_selective(each, alpha) for each in selectivity)
    n_routing = sum(routes(plain, more, alpha) for plain, more in zip(selectivity, routing, strict=True))
    all_of_them = [each.estimate for each in routing]
    largest = max(all_of_them, key=lambda each: each.value)
    return [
        Estimate("selective_heads", float(n_selective), "heads", len(routing), part=kind),
        Estimate("routing_heads", float(n_routing), "heads", len(routing), part=kind),
        replace(
            largest,
            measure="largest_routing",
            ci_high=max(each.ci_high for each in all_of_them),
            p_value=min(each.p_value for each in all_of_them),
            reason="" if np.isfinite(largest.value) else _why_nothing_stands_out(len(routing)),
        ),
    ]
