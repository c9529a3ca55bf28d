"""All heads of a layer at once: against its strongest head, and against as many heads drawn at random."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from rareneurons.attention.heads import AblationKind
from rareneurons.attention.routing import Effects
from rareneurons.attention.sample import WHOLE_LAYER, Found, HeadEstimate, Sample, with_interval
from rareneurons.stats import against_controls
from rareneurons.tables import Estimate


def layer_estimates(
    effects: Effects,
    effect: str,
    group: str,
    names: tuple[str, str, str],
    kind: AblationKind,
    layers: Sequence[int],
    sample: Sample,
) -> Found:
    """Effects of whole layers.

    Args:
        effects: of all ablations.
        effect: which sums by document.
        group: what stands in the column group.
        names: measures ``<name>.<kind>`` for a layer's effect and for its strongest head's share of it, and the unit.
        kind: of ablation.
        layers: which layers.
        sample: conditions and draws.

    Returns:
        A layer's effect and, in mean ablation, ``.random_sets``: the same with its p against random sets of heads.
        Means of effect and share over the layers.
    """
    of_layer, of_head, unit = names
    means, draws = sample.means(effects.by_document[effect]), sample.draws(effects.by_document[effect])
    places = effects.places("layer", kind, layers)
    sets = effects.places("set", kind, range(len(effects.ablations)))
    found = Found()
    for s, condition in enumerate(sample.names):
        n, shares = int(sample.n[s]), []
        for layer, place in zip(layers, places, strict=True):
            one = Estimate(f"{of_layer}.{kind}", float(means[place, s]), unit, n)
            tested = [with_interval(one, draws[place, s])]
            if len(sets):
                named = replace(one, measure=f"{one.measure}.random_sets")
                tested += against_controls(named, draws[place, s], means[sets, s], "greater")
            found.heads.extend(HeadEstimate(condition, group, layer, WHOLE_LAYER, each) for each in tested)
            largest = means[effects.places("head", kind, [layer]), s].max()
            shares.append(largest / means[place, s] if means[place, s] > 0 else np.nan)
        mean = Estimate(f"{of_layer}.{kind}", float(means[places, s].mean()), unit, n)
        known = [share for share in shares if np.isfinite(share)]
        share = float(np.mean(known)) if known else float("nan")
        found.groups.append((condition, group, with_interval(mean, draws[places, s].mean(0))))
        found.groups.append((condition, group, Estimate(f"{of_head}.{kind}", share, "share of the layer's effect", n)))
    return found
