"""Models whose last layer is real: neurons write into a residual, and everything else follows from that.

Every neuron is active at random. Some, the planted ones, are also active in so far as the next token's direction is
near to what they write, and so help to predict it: on rare rows alone, or on rare and common rows alike.
"""

from dataclasses import dataclass, replace

import numpy as np
from planted_layers import evidence_of, layer_of
from scipy.linalg import polar

from rareneurons.influence.label_shuffles import EffectsAtRows, LabelShuffles, label_shuffles
from rareneurons.influence.last_mlp import influence_by_document
from rareneurons.influence.sums import InfluenceSums, blocked_arrays, sums_of_arrays
from rareneurons.joint.estimates import JointEvidence
from rareneurons.models.last_layer import LastLayer
from rareneurons.rows import condition_split_masks, labels_of
from rareneurons.stats import document_weights

NEURONS, WIDTH, TYPES = 700, 40, 64  # each type is a rare and a common token
DOCUMENTS, PER_DOCUMENT = 100, 20  # half of the documents choose, half describe; half of a document's rows are rare
LOUD, PLANTED = 110, 40  # more are loud than are planted, so that planted ones have others that resemble them
RARE_ONLY = np.array([[1.0], [0.0]])
BOTH_ALIKE = np.array([[1.0], [1.0]])


@dataclass(frozen=True)
class Writers:
    """What a checkpoint is made of.

    ``weight`` (N, d): what each neuron writes; ``planted``: which help, and ``read`` (P, d): the next token's direction
    at which each is active; ``share`` of the planted neurons' variance that they have in common; ``help``: how
    strongly planted ones are active where they help, at rare and at common rows (2, 1).
    """

    weight: np.ndarray
    planted: np.ndarray
    read: np.ndarray
    share: float
    help: np.ndarray


def independent_specialists(strength: float, rng: np.random.Generator) -> Writers:
    """33 neurons, of any loudness, that help to predict rare tokens and have nothing else in common.

    Args:
        strength: 0 (untrained) to 1.
        rng: draws the neurons. Give every checkpoint a generator in the same state.
    """
    planted = rng.choice(NEURONS, 33, replace=False)
    size, direction = 0.1 * np.exp(0.5 * rng.normal(size=NEURONS)), _directions(rng)
    # Orthogonal, so that they are not active together, and as near to what they write as such directions can be. What
    # they write is not orthogonal: that would be a property of their weights.
    read = polar(direction[planted])[0]
    return Writers(size[:, None] * direction, planted, read, 0.0, 2.5 * strength * RARE_ONLY)


def loud_sharers(strength: float, rng: np.random.Generator) -> Writers:
    """The loudest neurons: they share a factor and a direction of their weights, and help with all tokens alike.

    Arguments as there. Their effect on rare and on common targets is as large as it can be told apart from: they are
    the most influential for both. Other loud neurons resemble them in size.
    """
    loud = rng.permutation(NEURONS)[:LOUD]
    planted, size, direction = loud[:PLANTED], 0.1 * np.exp(0.5 * rng.normal(size=NEURONS)), _directions(rng)
    louder = 0.3 * rng.uniform(0.8, 1.2, size=LOUD)
    size[loud] += strength * (louder - size[loud])
    direction[planted] += 0.5 * strength * rng.normal(size=WIDTH) / np.sqrt(WIDTH)
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    weight = size[:, None] * direction
    return Writers(weight, planted, direction[planted], 0.4 * strength, 6 * strength * BOTH_ALIKE)


def _directions(rng: np.random.Generator) -> np.ndarray:
    drawn = rng.normal(size=(NEURONS, WIDTH))
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


def evidence_on_rows(writers: Writers, n_draws: int, rng: np.random.Generator) -> tuple[LastLayer, JointEvidence]:
    """The layer, and all rows with what a forward pass would give for them.

    Args:
        writers: the checkpoint.
        n_draws: bootstrap draws of held-out documents.
        rng: draws the text and the activations. Give every checkpoint a generator in the same state.
    """
    # Every rare token has a common twin, so that no direction is by chance more that of rare tokens.
    types = rng.normal(size=(TYPES, WIDTH))
    types = np.linalg.qr(types - types.mean(0))[0] * np.sqrt(TYPES / WIDTH)  # orthogonal directions do not correlate
    unembedding = np.tile(types, (2, 1))
    n_rows = DOCUMENTS * PER_DOCUMENT
    rare = np.tile(np.arange(PER_DOCUMENT) % 2 == 0, DOCUMENTS)
    target = np.where(rare, TYPES, 0) + rng.integers(0, TYPES, n_rows)
    activation, factor = rng.normal(size=(n_rows, NEURONS)), rng.normal(size=(n_rows, 1))
    planted = writers.planted
    activation[:, planted] *= np.sqrt(1 - writers.share)
    activation[:, planted] += np.sqrt(writers.share) * factor
    activation[:, planted] += np.where(rare[:, None], *writers.help) * (unembedding[target] @ writers.read.T)
    activation = activation / activation.std(0) * np.exp(0.3 * rng.normal(size=NEURONS)) + rng.normal(size=NEURONS)
    stream = 3 * unembedding[target] + 0.5 * rng.normal(size=(n_rows, WIDTH))
    layer = layer_of(np.column_stack([np.zeros(NEURONS), writers.weight]), unembedding)
    document = np.arange(n_rows) // PER_DOCUMENT
    evidence = evidence_of(layer, stream, activation, target, rare, document, rng=rng)
    rows = evidence.rows.assign(split=np.where(document % 2 == 0, "discovery", "heldout"))
    return layer, replace(evidence, rows=rows, weights={"all/heldout": document_weights(DOCUMENTS // 2, n_draws, rng)})


def influence_on_rows(
    layer: LastLayer, evidence: JointEvidence, n_shuffles: int, rng: np.random.Generator
) -> tuple[dict[str, InfluenceSums], LabelShuffles]:
    """Effects by document and under exchanged labels, as script ``influence`` computes them."""
    rows = evidence.rows
    document, labels = rows["document"].to_numpy(), labels_of(rows, evidence.conditions)
    chosen_on = (rows["split"] == "discovery").to_numpy()
    at_rows = EffectsAtRows(chosen_on, NEURONS)
    trace = {"activation": evidence.activation, "residual": evidence.residual}
    given = evidence.reference.astype(np.float32), rows["target"].to_numpy(), document
    by_document, _ = influence_by_document(layer, trace, *given, condition_split_masks(rows), at_rows.add)
    shuffles = label_shuffles(at_rows.values, document[chosen_on], labels[chosen_on], n_shuffles, rng)
    return sums_of_arrays(blocked_arrays(by_document, DOCUMENTS)), shuffles
