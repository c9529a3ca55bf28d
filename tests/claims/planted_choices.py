"""Layers whose neurons are chosen as the workflow chooses them, for what they do to rows of one label or of both.

``LOUD`` neurons share a factor and are far more active than the rest. A row's label depends on its clean loss alone,
unless some neurons are ``specialists``: these write the rare half of the vocabulary, most of all on rows whose target
is in it, which are then the rare rows. ``only_frequency``: they write nothing else, and since the rare half is seen a
hundred times less often, that makes them token-frequency neurons.
"""

import numpy as np
import pandas as pd
from planted_layers import LARGE, controlled, evidence_of, layer_of, measured

from rareneurons.conventions import SELECTIVE, TOP, TOP_SIZE, WITHOUT_TYPES
from rareneurons.groups import order_of_choice, selective_neurons, shuffled_controls
from rareneurons.influence.label_shuffles import label_shuffles
from rareneurons.known_types.declared import KNOWN_TYPE, SHARES, declared_types
from rareneurons.known_types.effects import mediated_effects
from rareneurons.known_types.weights import unigram_direction, weight_properties
from rareneurons.matching import resembling_groups
from rareneurons.regimes.curve import rank_curve

LOUD, N_NEURONS, VOCABULARY, WIDTH = np.arange(40), 120, 32, 12
QUIET = np.arange(40, 76)
ROWS, PER_DOCUMENT = 560, 8  # half of the documents choose, half of them describe
CONTROLS = 6


def single_effects(logits, delta, weight, unembedding, target):
    """Change of loss (T, N) when one neuron goes to zero; the norm's scale does not move in these layers."""
    p = np.exp(logits - logits.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    h = delta[:, :, None] * (weight @ unembedding.T)[None]
    rows = np.arange(len(target))
    return np.log1p(np.einsum("tv,tnv->tn", p, np.expm1(h))) - h[rows, :, target]


def planted_choice(rng, specialists=None, strength=1.0, only_frequency=False, without_types=False):
    """The joint table of the chosen groups, and their members as a table of groups.

    ``without_types``: the groups are those chosen among neurons that are not declared to be of a known type.
    """
    half = VOCABULARY // 2
    # Each rare token differs from a common one in the first direction alone, which only specialists write.
    unembedding = np.tile(rng.normal(size=(half, WIDTH)) / np.sqrt(WIDTH), (2, 1))
    unembedding[:, 0] = np.repeat([-0.5, 0.5], half)
    weight = 0.018 * rng.normal(size=(N_NEURONS, WIDTH))
    weight[:, 0] = 0
    target = rng.integers(0, VOCABULARY, ROWS)
    activation = 0.3 * rng.normal(size=(ROWS, N_NEURONS))
    own, shared = rng.normal(size=(ROWS, len(LOUD))), rng.normal(size=(ROWS, 1))
    activation[:, LOUD] = 1 + np.sqrt(0.8) * shared + np.sqrt(0.2) * own
    if specialists is not None:
        activation[:, specialists] += 0.5 * strength * (target >= half)[:, None]
        weight[specialists, 0] += 0.02 * strength
        weight[specialists, 1:] *= not only_frequency
    hardness = rng.gamma(3.0, 0.5, size=(ROWS, 1))
    stream = hardness * unembedding[target] + 0.5 * rng.normal(size=(ROWS, WIDTH))
    logits = (stream + activation @ weight) @ unembedding.T
    loss = np.log(np.exp(logits).sum(1)) - logits[np.arange(ROWS), target]
    harder = rng.random(ROWS) < 1 / (1 + np.exp(-2 * (loss - np.median(loss))))
    rare = harder if specialists is None else target >= half
    document = np.arange(ROWS) // PER_DOCUMENT
    discovery = document % 2 == 0
    wide = np.column_stack([np.zeros(N_NEURONS), weight])
    layer = layer_of(wide, unembedding)
    residual = np.column_stack([np.full(ROWS, LARGE), stream]) + activation @ wide
    rows = residual, activation, target, discovery & rare
    of_types = _declared(layer, logits, *rows, rng) if without_types else None
    chosen = logits, activation, weight, unembedding, target, rare, document, discovery, of_types, rng
    groups, here = _chosen(*chosen), ~discovery
    kept = stream[here], activation[here], target[here], rare[here], document[here]
    evidence = evidence_of(layer, *kept, np.zeros(N_NEURONS), rng=rng)
    table = measured(evidence, groups, int(rng.integers(2**32)), doses=(), rows=200, controls=CONTROLS, caliper=0.2)
    members = [(name, neuron) for name, group in groups.items() for neuron in group.members]
    return table.table, pd.DataFrame(members, columns=["group", "neuron"])


def _declared(layer, logits, residual, activation, target, here, rng):
    """The neurons of known types, by the rule, where the rare half of the vocabulary has a hundredth of the counts."""
    direction = unigram_direction(np.repeat([10000, 100], VOCABULARY // 2), VOCABULARY)
    part = residual[here], activation[here], np.zeros(N_NEURONS), target[here]
    weight, unembedding = layer.output_weight[:, 1:].numpy(), layer.unembedding[:, 1:].numpy()
    whole = np.abs(single_effects(logits[here], -activation[here], weight, unembedding, target[here])).mean(0)
    effects = mediated_effects(layer, *part, direction)
    shares = pd.DataFrame({SHARES[name]: effect / whole for name, effect in effects.items()})
    return np.flatnonzero(declared_types(weight_properties(layer, direction, rng), shares)[KNOWN_TYPE])


def _chosen(logits, activation, weight, unembedding, target, rare, document, discovery, of_types, rng):
    """Both top groups with their matched and their shuffled-label controls, chosen on discovery rows."""
    part = logits[discovery], -activation[discovery], weight, unembedding, target[discovery]
    effects = single_effects(*part)
    labels = np.column_stack([rare, ~rare])[discovery]
    shuffles = label_shuffles(effects, document[discovery], labels, CONTROLS, rng)
    own = effects[labels[:, 0]]
    top = rank_curve(own.mean(0), np.abs(own).mean(0), "boost").neuron[:TOP_SIZE]
    members = {TOP: top, SELECTIVE: selective_neurons(shuffles.own_excess)}
    candidates = np.setdiff1d(np.arange(N_NEURONS), np.concatenate(list(members.values())))
    if of_types is not None:
        influence = own.mean(0), np.abs(own).mean(0), shuffles.own_excess
        order = {new: order_of_choice(base, *influence) for base, new in WITHOUT_TYPES.items()}
        members = {name: each[~np.isin(each, of_types)][:TOP_SIZE] for name, each in order.items()}
        candidates = np.setdiff1d(np.arange(N_NEURONS), of_types)
    features = np.column_stack([activation[discovery].mean(0), activation[discovery].std(0)])
    features = (features - features.mean(0)) / features.std(0)
    shuffled = shuffled_controls(members, shuffles, of_types)
    found = {}
    for name, neurons in members.items():
        alike = [each for key, each in shuffled.items() if name in key and len(each) == len(neurons)]
        matched = resembling_groups(neurons, np.setdiff1d(candidates, neurons), features, CONTROLS, rng)
        found[name] = controlled(neurons, matched=matched, shuffled=alike)
    return found
