"""All heads of a layer together, compared with its strongest head and with as many heads drawn at random."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from rareneurons.attention.condition_pair import ConditionPair
from rareneurons.attention.head_estimates import (
    WHOLE_LAYER,
    GroupAndHeadEstimates,
    HeadEstimate,
    with_bootstrap_interval,
)
from rareneurons.attention.heads import AblationKind
from rareneurons.attention.routing import Effects
from rareneurons.stats import against_controls
from rareneurons.tables import Estimate


@dataclass(frozen=True)
class LayerMeasures:
    """Names of a layer's effect and of its strongest head's share of it, and the effect's unit."""

    effect: str
    largest_share: str
    unit: str


def layer_estimates(
    effects: Effects,
    heads: Effects,
    effect: str,
    group: str,
    names: LayerMeasures,
    kind: AblationKind,
    layers: Sequence[int],
    pair: ConditionPair,
) -> GroupAndHeadEstimates:
    """Effects of whole layers.

    Args:
        effects: of whole layers and random sets.
        heads: of single heads, on the same documents.
        effect: which of their sums by document.
        group: for the column group.
        names: of the measures.
        kind: of ablation, the estimates' part.
        layers: which layers.
        pair: conditions and draws.

    Returns:
        Each layer's effect; in mean ablation it is listed again against ``random_sets`` of heads. Effect and share of
        the strongest head among those that were ablated, as means over the layers.
    """
    means, draws = pair.means(effects.by_document[effect]), pair.draws(effects.by_document[effect])
    of_heads = pair.means(heads.by_document[effect])
    places = effects.places("layer", kind, layers)
    sets = effects.places("set", kind, range(len(effects.ablations)))
    found = GroupAndHeadEstimates()
    for s, condition in enumerate(pair.names):
        n, shares = int(pair.n[s]), []
        for layer, place in zip(layers, places, strict=True):
            one = Estimate(names.effect, float(means[place, s]), names.unit, n, part=kind)
            listed = [with_bootstrap_interval(one, draws[place, s])]
            if len(sets):
                tested = replace(one, against="random_sets")
                listed.append(against_controls(tested, draws[place, s], means[sets, s], "greater"))
            found.heads.extend(HeadEstimate(condition, group, layer, WHOLE_LAYER, each) for each in listed)
            largest = of_heads[heads.places("head", kind, [layer]), s].max()
            shares.append(largest / means[place, s] if means[place, s] > 0 else np.nan)
        mean = Estimate(names.effect, float(means[places, s].mean()), names.unit, n, part=kind)
        known = [share for share in shares if np.isfinite(share)]
        share = float(np.mean(known)) if known else float("nan")
        found.groups.append((condition, group, with_bootstrap_interval(mean, draws[places, s].mean(0))))
        largest_share = Estimate(names.largest_share, share, "share of the layer's effect", n, part=kind)
        found.groups.append((condition, group, largest_share))
    return found
