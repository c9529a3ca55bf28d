"""Effects of heads on the loss, and how much of them passes through a group of neurons."""

from collections.abc import Sequence

import numpy as np

from rareneurons.attention.concentration import CONCENTRATION, permuted_means
from rareneurons.attention.heads import AblationKind
from rareneurons.attention.mediation import mediated_estimates
from rareneurons.attention.routing import Effects
from rareneurons.attention.sample import EVERYTHING, WHOLE_LAYER, Found, HeadEstimate, Sample, heads_and_mean
from rareneurons.stats import against_controls
from rareneurons.tables import Estimate


def loss_estimates(
    effects: Effects,
    kind: AblationKind,
    layers: Sequence[int],
    sample: Sample,
    n_permutations: int,
    rng: np.random.Generator,
) -> Found:
    """Change of the loss and its concentration over *all* heads.

    Those that cannot reach the last MLP change the loss directly and count here.
    """
    places = effects.places("head", kind, layers)
    heads = [effects.ablations[place].heads[0] for place in places]
    found = Found()
    for name in ("delta_loss", "abs_delta_loss"):
        sums = effects.by_document[name][places]
        found.add([heads_and_mean(sample, EVERYTHING, heads, f"{name}.{kind}", "nats", sums)])
    sizes = effects.by_document["abs_delta_loss"][places]
    means, draws = sample.means(sizes), sample.draws(sizes)
    for s, condition in enumerate(sample.names):
        null = permuted_means(sizes[:, s], sample.rows[s], n_permutations, rng)
        for measure, of in CONCENTRATION.items():
            one = Estimate(f"loss_{measure}.{kind}.permuted", float(of(means[:, s])), "share", int(sample.n[s]))
            tested = against_controls(one, of(draws[:, s].T), of(null), "greater")
            found.groups.extend((condition, EVERYTHING, each) for each in tested)
    return found


def mediation_estimates(effects: Effects, group: str, layers: Sequence[int], sample: Sample) -> Found:
    """What of the loss each head and each layer changes through the group, and all these heads together."""
    kept = [f"held.{group}", *sorted(name for name in effects.by_document if name.startswith(f"held.{group}.matched_"))]
    heads = effects.places("head", "mean", layers)

    def of(places: np.ndarray, s: int) -> list[Estimate]:
        """Of the summed effects of some ablations in one condition."""
        total, held, *controls = (effects.by_document[name][places].sum(0) for name in ("delta_loss", *kept))
        return mediated_estimates(
            float(sample.means(total)[s]),
            sample.draws(total)[s],
            float(sample.means(held)[s]),
            sample.draws(held)[s],
            np.array([sample.means(each)[s] for each in controls]),
            int(sample.n[s]),
        )

    found = Found()
    for s, condition in enumerate(sample.names):
        for place in [*heads, *effects.places("layer", "mean", layers)]:
            ablation = effects.ablations[place]
            layer, head = ablation.heads[0]
            where = (layer, head if ablation.unit == "head" else WHOLE_LAYER)
            found.heads.extend(HeadEstimate(condition, group, *where, each) for each in of(np.array([place]), s))
        found.groups.extend((condition, group, each) for each in of(heads, s))
    return found
