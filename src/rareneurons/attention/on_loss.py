"""Effects of heads on the loss, and how much of them passes through a group of neurons."""

from collections.abc import Sequence

import numpy as np

from rareneurons.attention.concentration import CONCENTRATION, permuted_means
from rareneurons.attention.condition_pair import ConditionPair
from rareneurons.attention.head_estimates import (
    EVERYTHING,
    WHOLE_LAYER,
    GroupAndHeadEstimates,
    HeadEstimate,
    heads_and_mean,
)
from rareneurons.attention.heads import AblationKind
from rareneurons.attention.mediation import mediated_estimates
from rareneurons.attention.routing import Effects
from rareneurons.stats import against_controls
from rareneurons.tables import Estimate

LOSS_CONCENTRATION = {"gini": "loss_gini", "top_share": "loss_top_share"}


def loss_estimates(
    effects: Effects,
    kind: AblationKind,
    layers: Sequence[int],
    pair: ConditionPair,
    everyone: np.ndarray | None,
    n_permutations: int,
    rng: np.random.Generator,
) -> GroupAndHeadEstimates:
    """Change of the loss and its concentration over *all* heads.

    Heads that cannot reach the last MLP count too, because they change the loss directly.

    Args:
        effects: of all ablations.
        kind: of ablation, the estimates' part.
        layers: all layers.
        pair: conditions and draws.
        everyone: indices, among the heads ablated in this kind, of those that represent all heads, one for each; None
            gives numbers of single heads alone.
        n_permutations: how often heads are permuted.
        rng: permutes them.

    Returns:
        ``delta_loss`` and ``abs_delta_loss`` (nats) of each head and as means over heads; ``loss_gini`` and
        ``loss_top_share`` against ``permuted`` heads.
    """
    places = effects.places("head", kind, layers)
    heads = [effects.ablations[place].heads[0] for place in places]
    found = GroupAndHeadEstimates()
    for name in ("delta_loss", "abs_delta_loss"):
        named = Estimate(name, float("nan"), "nats", 0, part=kind)
        found.add([heads_and_mean(pair, EVERYTHING, heads, named, effects.by_document[name][places], everyone)])
    if everyone is None:
        return found
    sizes = effects.by_document["abs_delta_loss"][places][everyone]
    means, draws = pair.means(sizes), pair.draws(sizes)
    for s, condition in enumerate(pair.names):
        null = permuted_means(sizes[:, s], pair.rows[s], n_permutations, rng)
        for measure, of in CONCENTRATION.items():
            value = float(of(means[:, s]))
            one = Estimate(LOSS_CONCENTRATION[measure], value, "share", int(pair.n[s]), part=kind, against="permuted")
            found.groups.append((condition, EVERYTHING, against_controls(one, of(draws[:, s].T), of(null), "greater")))
    return found


def mediation_estimates(
    effects: Effects, group: str, layers: Sequence[int], pair: ConditionPair, everyone: np.ndarray | None
) -> GroupAndHeadEstimates:
    """Change of the loss that passes through a group: of each head, of each layer, and summed over all heads.

    Args:
        effects: of all ablations.
        group: name of the group.
        layers: layers that can reach the last MLP.
        pair: conditions and draws.
        everyone: indices, among the ablated heads of these layers, of those that represent all of them, one for each;
            None gives no sum.
    """
    kept = [f"held.{group}", *sorted(name for name in effects.by_document if name.startswith(f"held.{group}.matched_"))]
    heads = effects.places("head", "mean", layers)

    def of(places: np.ndarray, s: int) -> list[Estimate]:
        """Of the summed effects of some ablations in one condition."""
        total, held, *controls = (effects.by_document[name][places].sum(0) for name in ("delta_loss", *kept))
        return mediated_estimates(
            float(pair.means(total)[s]),
            pair.draws(total)[s],
            float(pair.means(held)[s]),
            pair.draws(held)[s],
            np.array([pair.means(each)[s] for each in controls]),
            int(pair.n[s]),
        )

    found = GroupAndHeadEstimates()
    for s, condition in enumerate(pair.names):
        for place in [*heads, *effects.places("layer", "mean", layers)]:
            ablation = effects.ablations[place]
            layer, head = ablation.heads[0]
            where = (layer, head if ablation.unit == "head" else WHOLE_LAYER)
            found.heads.extend(HeadEstimate(condition, group, *where, each) for each in of(np.array([place]), s))
        if everyone is not None:
            found.groups.extend((condition, group, each) for each in of(heads[everyone], s))
    return found
