"""Effects of heads on a group of neurons: size, concentration and selectivity, each compared with control groups."""

from dataclasses import dataclass, replace

import numpy as np
from scipy.special import ndtr

from rareneurons.attention.choice import PLANTED
from rareneurons.attention.concentration import CONCENTRATION, permuted_means
from rareneurons.attention.condition_pair import ConditionPair
from rareneurons.attention.head_estimates import GroupAndHeadEstimates, HeadEstimate, with_bootstrap_interval
from rareneurons.attention.heads import AblationKind, Head
from rareneurons.attention.routing import Effects
from rareneurons.attention.selectivity import (
    HeadBounds,
    adjusted_over_heads,
    bounds_over_heads,
    routing_shares,
    selectivity_beyond,
    standardised_over_groups,
)
from rareneurons.groups import ControlledGroup, ControlledGroups
from rareneurons.stats import Alternative, against_controls, benjamini_hochberg
from rareneurons.tables import Estimate

SD = "standard deviations"
SHARE = "share of the head's effect"


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
    ``everyone``: indices of the heads that represent all heads, one for each (``choice.stand_ins``).
    """

    name: str
    kind: AblationKind
    heads: list[Head]
    sums: np.ndarray
    matched: np.ndarray
    null: dict[str, np.ndarray]
    everyone: np.ndarray


def group_effects(
    effects: Effects,
    name: str,
    group: ControlledGroup,
    kind: AblationKind,
    places: np.ndarray,
    everyone: np.ndarray | None = None,
) -> GroupEffects:
    """Effects on a group of the ablations at ``places``, all of one kind; by default each head represents itself."""
    by_neuron = effects.by_neuron[places]
    return GroupEffects(
        name,
        kind,
        [effects.ablations[place].heads[0] for place in places],
        effects.by_document[name][places],
        effects.by_document[f"{name}.matched"][places],
        {what: by_neuron @ averages(drawn, effects.varies) for what, drawn in group.controls.items()},
        np.arange(len(places)) if everyone is None else everyone,
    )


def head_sizes(group: GroupEffects, pair: ConditionPair) -> GroupAndHeadEstimates:
    """``head_effect`` of each head against matched controls."""
    found = GroupAndHeadEstimates()
    means, draws = pair.means(group.sums), pair.draws(group.sums)
    for s, condition in enumerate(pair.names):
        for h, place in enumerate(group.heads):
            one = Estimate("head_effect", float(means[h, s]), SD, int(pair.n[s]), part=group.kind, against="matched")
            tested = against_controls(one, draws[h, s], group.null["matched"][h, s], "greater")
            found.heads.append(HeadEstimate(condition, group.name, *place, tested))
    return found


def mean_size(group: GroupEffects, pair: ConditionPair) -> GroupAndHeadEstimates:
    """``head_effect`` as a mean over all heads, compared with each kind of controls."""
    found = GroupAndHeadEstimates()
    all_heads = group.everyone
    means, draws = pair.means(group.sums)[all_heads], pair.draws(group.sums)[all_heads]
    for s, condition in enumerate(pair.names):
        for what, null in group.null.items():
            value, n = float(means[:, s].mean()), int(pair.n[s])
            mean = Estimate("head_effect", value, SD, n, part=group.kind, against=what)
            tested = against_controls(mean, draws[:, s].mean(0), null[all_heads, s].mean(0), "greater")
            found.groups.append((condition, group.name, tested))
    return found


def concentration_estimates(
    group: GroupEffects, pair: ConditionPair, n_permutations: int, rng: np.random.Generator
) -> GroupAndHeadEstimates:
    """Gini coefficient and top share over all heads, against controls and against permuted heads.

    Each head that was ablated has a row ``head_effect`` against ``permuted``. Its null is the effect that takes the
    head's rank when heads are permuted; there is no test.
    """
    found = GroupAndHeadEstimates()
    all_heads = group.everyone
    sums = group.sums[all_heads]
    means, draws = pair.means(sums), pair.draws(sums)
    for s, condition in enumerate(pair.names):
        n, permuted = int(pair.n[s]), permuted_means(sums[:, s], pair.rows[s], n_permutations, rng)
        nulls = {what: null[all_heads, s].T for what, null in group.null.items()} | {"permuted": permuted}
        for measure, of in CONCENTRATION.items():
            for what, null in nulls.items():
                one = Estimate(measure, float(of(means[:, s])), "share", n, part=group.kind, against=what)
                alternative: Alternative = "greater" if what == "permuted" else "two-sided"
                tested = against_controls(one, of(draws[:, s].T), of(null), alternative)
                found.groups.append((condition, group.name, tested))
        listed: set[Head] = set()
        for rank, h in enumerate(np.argsort(-means[:, s], kind="stable")):
            place = group.heads[int(all_heads[h])]
            if place in listed:  # it represents other heads, too
                continue
            listed.add(place)
            one = Estimate("head_effect", float(means[h, s]), SD, n, part=group.kind, against="permuted")
            beside = against_controls(one, draws[h, s], permuted[:, rank], "greater")
            beside = replace(beside, p_value=float("nan"))
            found.heads.append(HeadEstimate(condition, group.name, *place, beside))
    return found


def mean_selectivity(group: GroupEffects, pair: ConditionPair) -> GroupAndHeadEstimates:
    """``selectivity``, rare less common, as a mean over all heads, compared with each kind of controls."""
    found = GroupAndHeadEstimates()
    all_heads = group.everyone
    condition, n, value, draws, _ = pair.compared(group.sums[all_heads])[-1]
    for what, null in group.null.items():
        mean = Estimate("selectivity", float(value.mean()), SD, n, part=group.kind, against=what)
        controls = (null[all_heads, 0] - null[all_heads, 1]).mean(0)
        found.groups.append((condition, group.name, against_controls(mean, draws.mean(0), controls, "two-sided")))
    return found


@dataclass(frozen=True)
class Routing:
    """Rare less common effect of H heads on a group, and what of it is routing; estimates in the heads' order.

    ``selectivity``: rare less common. ``routing``: beyond matched groups and the other heads, in standard deviations.
    ``share``: routing as a share of the head's effect, with its ``bounds``.
    """

    selectivity: list[HeadEstimate]
    routing: list[HeadEstimate]
    share: list[HeadEstimate]
    bounds: HeadBounds

    @property
    def heads(self) -> list[HeadEstimate]:
        """All estimates, one head after the other."""
        together = zip(self.selectivity, self.routing, self.share, strict=True)
        return [each for head in together for each in head]


def routing_of_heads(group: GroupEffects, pair: ConditionPair) -> Routing:
    """Selectivity and routing of each head, compared with matched controls.

    ``selectivity`` has a p-value clustered by document and a q-value over heads (Benjamini-Hochberg). ``routing`` and
    ``routing_share``, both against ``matched``, have a p-value that is adjusted over heads.
    """
    condition, n, value, draws, p = pair.compared(group.sums)[-1]
    q = benjamini_hochberg(p)
    means, matched, drawn = pair.means(group.sums), pair.means(group.matched), pair.draws(group.sums)
    beyond = selectivity_beyond(means, matched, group.everyone)
    beyond_draws = selectivity_beyond(drawn, pair.draws(group.matched), group.everyone)
    null = selectivity_beyond(group.null["matched"], matched[..., None], group.everyone)
    adjusted = adjusted_over_heads(beyond, null)
    share = routing_shares(beyond, means[:, 0])
    bounds = bounds_over_heads(share, routing_shares(beyond_draws, drawn[:, 0]), pair.n_documents)
    found = Routing([], [], [], bounds)
    for h, place in enumerate(group.heads):
        plain = Estimate("selectivity", float(value[h]), SD, n, p_value=float(p[h]), part=group.kind)
        plain = with_bootstrap_interval(replace(plain, q_value=float(q[h])), draws[h])
        more = Estimate("routing", float(beyond[h]), SD, n, part=group.kind, against="matched")
        more = with_bootstrap_interval(replace(more, p_value=float(adjusted[h])), beyond_draws[h])
        part = replace(more, measure="routing_share", value=float(share[h]), unit=SHARE)
        part = replace(part, ci_low=float(bounds.low[h]), ci_high=float(bounds.high[h]))
        for listed, each in ((found.selectivity, plain), (found.routing, more), (found.share, part)):
            listed.append(HeadEstimate(condition, group.name, *place, each))
    return found


def is_selective(selectivity: HeadEstimate, alpha: float) -> bool:
    """Whether a head moves the group more on rare than on common rows: its q-value is at most ``alpha``."""
    return bool(selectivity.estimate.value > 0 and selectivity.estimate.q_value <= alpha)


def routes(selectivity: HeadEstimate, share: HeadEstimate, alpha: float) -> bool:
    """Whether a head routes rare rows to a group.

    It is selective (:func:`is_selective`), and by more than matched groups and the other heads explain
    (:func:`selectivity_beyond`): the lower bound over heads of that share of its effect lies above 0, and at most a
    share ``alpha`` of the matched groups have any head that differs as much.
    """
    more = share.estimate
    return bool(is_selective(selectivity, alpha) and more.ci_low > 0 and more.p_value <= alpha)


def _why_nothing_stands_out(n_heads: int) -> str:
    if n_heads < 3:
        return f"{n_heads} heads reach the last MLP; at least 3 are needed to compare one with the others"
    return "no matched controls: too few other neurons"


def routing_summary(kind: AblationKind, found: Routing, alpha: float) -> list[Estimate]:
    """How many heads are selective and how many route, and the largest share of a head's effect that is routing.

    ``largest_routing_share`` is the largest of the heads that route or, where none does, of all heads, with the lower
    bound of that head. Its upper end is the highest of *all* heads, so that none routes more than that. Its p-value is
    the smallest of all heads.
    """
    which = [routes(plain, share, alpha) for plain, share in zip(found.selectivity, found.share, strict=True)]
    all_of_them = [each.estimate for each in found.share]
    named = [each for each, is_named in zip(all_of_them, which, strict=True) if is_named]
    largest = max(named or all_of_them, key=lambda each: each.value)
    n_selective = sum(is_selective(each, alpha) for each in found.selectivity)
    return [
        Estimate("selective_heads", float(n_selective), "heads", len(which), part=kind),
        Estimate("routing_heads", float(sum(which)), "heads", len(which), part=kind),
        replace(
            largest,
            measure="largest_routing_share",
            ci_high=max(each.ci_high for each in all_of_them),
            p_value=min(each.p_value for each in all_of_them),
            reason="" if np.isfinite(largest.value) else _why_nothing_stands_out(len(which)),
        ),
    ]


def found_if_planted(group: GroupEffects, pair: ConditionPair, bounds: HeadBounds, alpha: float) -> np.ndarray:
    """Probability (H,) that each head would be found to route, if routing of ``PLANTED`` of its effect were added.

    The share's error stays what it is and is normal. Against matched groups the head has to exceed, by an effect as
    large as its present one, what at most a share ``alpha`` of the groups has for any head.
    """
    means, matched = pair.means(group.sums), pair.means(group.matched)
    beyond = selectivity_beyond(means, matched, group.everyone)
    null = selectivity_beyond(group.null["matched"], matched[..., None], group.everyone)
    scores, unit = standardised_over_groups(beyond, null)
    if null.shape[1] < 1 / alpha - 1:
        return np.zeros(len(beyond))
    planted = means[:, 0] * PLANTED / (1 - PLANTED)
    beats_groups = planted / unit >= np.quantile(scores.max(0), 1 - alpha)
    with np.errstate(divide="ignore", invalid="ignore"):
        clear = ndtr(np.where(bounds.error > 0, PLANTED / bounds.error, np.inf) - bounds.critical)
    return np.where(beats_groups, clear, 0.0)
