"""Effects of heads on a group of neurons: size, concentration and selectivity, each against control groups."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from rareneurons.attention.concentration import CONCENTRATION, permuted_means
from rareneurons.attention.heads import AblationKind
from rareneurons.attention.routing import Effects
from rareneurons.attention.sample import Found, HeadEstimate, Sample, with_interval
from rareneurons.attention.selectivity import adjusted_over_heads, selectivity_beyond
from rareneurons.groups import Controlled
from rareneurons.stats import against_controls, benjamini_hochberg
from rareneurons.tables import Estimate

SD = "standard deviations"


def averages(drawn: np.ndarray, varies: np.ndarray) -> np.ndarray:
    """Weights (N, m) that average over the neurons of m groups (m, n) that vary, boolean (N,); NaN where none does."""
    weights = np.zeros((len(varies), len(drawn)))
    weights[drawn, np.arange(len(drawn))[:, None]] = varies[drawn]
    n = weights.sum(0)
    return weights / np.where(n > 0, n, np.nan)


def readout_weights(groups: Controlled, varies: np.ndarray) -> dict[str, np.ndarray]:
    """Averages over neurons that are summed by document: each group, and the mean of its matched controls.

    Args:
        groups: name -> (neurons (n,), kind of controls -> (m, n)).
        varies: boolean (N,), neurons that count.

    Returns:
        ``<group>`` and ``<group>.matched`` -> (N,) weights that sum to 1; NaN where there are no such neurons.
    """
    found = {}
    for name, (members, controls) in groups.items():
        found[name] = averages(members[None], varies)[:, 0]
        matched = averages(controls["matched"], varies)
        found[f"{name}.matched"] = matched.mean(1) if matched.shape[1] else np.full(len(varies), np.nan)
    return found


@dataclass(frozen=True)
class GroupEffects:
    """Effects of H heads in one kind of ablation on one group and its controls.

    ``heads``: (layer, head); ``sums`` and ``matched`` (H, 2, D): of the group and of the mean of its matched controls,
    summed over a document's rows; ``null`` kind of controls -> (H, 2, m): means over rows.
    """

    name: str
    kind: AblationKind
    heads: list[tuple[int, int]]
    sums: np.ndarray
    matched: np.ndarray
    null: dict[str, np.ndarray]


def group_effects(
    effects: Effects, name: str, groups: Controlled, kind: AblationKind, places: np.ndarray
) -> GroupEffects:
    """Those of the ablations at ``places`` on one of the groups."""
    by_neuron = effects.by_neuron[places]
    return GroupEffects(
        name,
        kind,
        [effects.ablations[place].heads[0] for place in places],
        effects.by_document[name][places],
        effects.by_document[f"{name}.matched"][places],
        {what: by_neuron @ averages(drawn, effects.varies) for what, drawn in groups[name][1].items()},
    )


def size_estimates(group: GroupEffects, sample: Sample) -> Found:
    """Effect of each head against matched controls, and the mean over heads against both kinds."""
    found = Found()
    means, draws = sample.means(group.sums), sample.draws(group.sums)
    for s, condition in enumerate(sample.names):
        n = int(sample.n[s])
        for h, place in enumerate(group.heads):
            one = Estimate(f"head_effect.{group.kind}.matched", float(means[h, s]), SD, n)
            tested = against_controls(one, draws[h, s], group.null["matched"][h, s], "greater")
            found.heads.extend(HeadEstimate(condition, group.name, *place, each) for each in tested)
        for what, null in group.null.items():
            mean = Estimate(f"head_effect.{group.kind}.{what}", float(means[:, s].mean()), SD, n)
            tested = against_controls(mean, draws[:, s].mean(0), null[:, s].mean(0), "greater")
            found.groups.extend((condition, group.name, each) for each in tested)
    return found


def concentration_estimates(
    group: GroupEffects, sample: Sample, n_permutations: int, rng: np.random.Generator
) -> Found:
    """Gini coefficient and top share over heads, against controls and against heads whose names are permuted.

    Heads get ``head_effect.<kind>.permuted.null_mean``: the permuted effect of the rank that the head takes.
    """
    found = Found()
    means, draws = sample.means(group.sums), sample.draws(group.sums)
    for s, condition in enumerate(sample.names):
        permuted = permuted_means(group.sums[:, s], sample.rows[s], n_permutations, rng)
        nulls = {what: null[:, s].T for what, null in group.null.items()} | {"permuted": permuted}
        for measure, of in CONCENTRATION.items():
            for what, null in nulls.items():
                one = Estimate(f"{measure}.{group.kind}.{what}", float(of(means[:, s])), "share", int(sample.n[s]))
                tested = against_controls(
                    one, of(draws[:, s].T), of(null), "greater" if what == "permuted" else "two-sided"
                )
                found.groups.extend((condition, group.name, each) for each in tested)
        for rank, h in enumerate(np.argsort(-means[:, s], kind="stable")):
            null_mean = Estimate(
                f"head_effect.{group.kind}.permuted.null_mean", float(permuted[:, rank].mean()), SD, len(permuted)
            )
            null_mean = with_interval(null_mean, permuted[:, rank])
            found.heads.append(HeadEstimate(condition, group.name, *group.heads[int(h)], null_mean))
    return found


def selectivity_estimates(group: GroupEffects, sample: Sample, alpha: float) -> Found:
    """Rare less common of each head, by itself and beyond matched controls, and which heads route.

    Args:
        group: effects of all heads that reach the last MLP.
        sample: conditions and draws.
        alpha: largest adjusted p of a head that routes.

    Returns:
        Heads: ``selectivity.<kind>`` (p clustered by document, Benjamini-Hochberg over heads) and
        ``routing.<kind>.matched`` (p against matched controls, adjusted over heads). Group: their summary.
    """
    found = Found()
    condition, n, value, draws, p = sample.compared(group.sums)[-1]
    q = benjamini_hochberg(p)
    null = {what: each[:, 0] - each[:, 1] for what, each in group.null.items()}
    reference = sample.means(group.matched)
    beyond = selectivity_beyond(sample.means(group.sums), reference)
    beyond_draws = selectivity_beyond(sample.draws(group.sums), sample.draws(group.matched))
    adjusted = adjusted_over_heads(beyond, selectivity_beyond(group.null["matched"], reference[..., None]))
    for h, place in enumerate(group.heads):
        plain = Estimate(f"selectivity.{group.kind}", float(value[h]), SD, n, p_value=float(p[h]))
        more = Estimate(f"routing.{group.kind}.matched", float(beyond[h]), SD, n, p_value=float(adjusted[h]))
        found.heads.append(HeadEstimate(condition, group.name, *place, with_interval(plain, draws[h]), float(q[h])))
        found.heads.append(HeadEstimate(condition, group.name, *place, with_interval(more, beyond_draws[h])))
    summary = []
    for what, controls in null.items():
        mean = Estimate(f"selectivity.{group.kind}.{what}", float(value.mean()), SD, n)
        summary += against_controls(mean, draws.mean(0), controls.mean(0), "two-sided")
    summary += routing_summary(group.kind, found.heads[::2], found.heads[1::2], alpha)
    found.groups.extend((condition, group.name, each) for each in summary)
    return found


def routes(selectivity: HeadEstimate, routing: HeadEstimate, alpha: float) -> bool:
    """Whether a head routes rare rows to a group.

    It moves the group more on rare than on common rows (p adjusted over heads at most ``alpha``), and by more than
    matched groups and the other heads explain (:func:`selectivity_beyond`): the interval of that lies above 0, and at
    most a share ``alpha`` of the matched groups have any head that stands out as far.
    """
    more = routing.estimate
    selective = selectivity.estimate.value > 0 and selectivity.q_value <= alpha
    return bool(selective and more.ci_low > 0 and more.p_value <= alpha)


def _why_no_routing(n_heads: int) -> str:
    if n_heads < 3:
        return f"{n_heads} heads reach the last MLP, at least 3 are needed for one to stand out"
    return "no matched controls: too few other neurons"


def routing_summary(
    kind: AblationKind, selectivity: Sequence[HeadEstimate], routing: Sequence[HeadEstimate], alpha: float
) -> list[Estimate]:
    """How many heads are selective and how many route, and the largest routing.

    ``largest_routing``: the largest value with the lower end of its interval, the *highest* upper end of all heads (no
    head routes more than that) and the smallest p.
    """
    n_selective = sum(each.estimate.value > 0 and each.q_value <= alpha for each in selectivity)
    n_routing = sum(routes(plain, more, alpha) for plain, more in zip(selectivity, routing, strict=True))
    all_of_them = [each.estimate for each in routing]
    largest = max(all_of_them, key=lambda each: each.value)
    return [
        Estimate(f"selective_heads.{kind}", float(n_selective), "heads", len(routing)),
        Estimate(f"routing_heads.{kind}", float(n_routing), "heads", len(routing)),
        replace(
            largest,
            measure=f"largest_routing.{kind}.matched",
            ci_high=max(each.ci_high for each in all_of_them),
            p_value=min(each.p_value for each in all_of_them),
            reason="" if np.isfinite(largest.value) else _why_no_routing(len(routing)),
        ),
    ]
