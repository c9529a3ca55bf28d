"""Last layers and rows with planted joint effects.

The residual has one large component that the unembedding does not read. So the norm's scale hardly moves, and logits
are what the other components say.
"""

import numpy as np
import pandas as pd
import torch

from rareneurons.groups import ControlledGroup
from rareneurons.joint.estimates import JointEvidence, JointSettings, joint_estimates
from rareneurons.models.last_layer import LastLayer, Norm
from rareneurons.stats import document_weights
from rareneurons.tables import CheckpointName

LARGE = 30.0
PAIR = ("rare", "common")


def layer_of(output_weight, unembedding):
    """A last layer (N, 1 + d) whose unembedding (V, d) leaves the first component out; logits are U x."""
    width = output_weight.shape[1]
    gain = torch.full((width,), LARGE / np.sqrt(width))  # undoes the norm's scale
    norm = Norm("rms_norm", gain, torch.zeros(width), 1e-5)
    wide = np.column_stack([np.zeros(len(unembedding)), unembedding])
    return LastLayer(torch.tensor(output_weight).float(), torch.tensor(wide).float(), torch.zeros(len(wide)), norm, {})


def sampled(logits, rng):
    """One target per row (T,), drawn from the prediction of its logits (T, V)."""
    return (logits + rng.gumbel(size=logits.shape)).argmax(1)


def evidence_of(layer, stream, activation, target, rare, document, reference=None, orders=None, rng=None):
    """Held-out rows whose residual is the stream (T, d) beside the large component, plus what the neurons write."""
    n_rows = len(stream)
    residual = np.column_stack([np.full(n_rows, LARGE), stream]) + activation @ layer.output_weight.numpy()
    rows = pd.DataFrame({"document": document, "position": 3 + np.arange(n_rows) % 50, "target": target})
    rows = rows.assign(split="heldout", in_rare=rare, in_common=~rare)
    weights = document_weights(len(set(document)), 100, rng or np.random.default_rng(5))
    return JointEvidence(
        CheckpointName("m", "step8"),
        PAIR,
        rows,
        activation.astype(np.float32),
        layer.arrays(),
        weights={"all/heldout": weights},
        residual=residual.astype(np.float32),
        reference=activation.mean(0) if reference is None else reference,
        rank_fraction=np.asarray(target) / len(layer.unembedding),
        orders=orders or {},
    )


def measured(evidence, groups, seed=0, **settings):
    return joint_estimates(evidence, groups, JointSettings(**settings), np.random.default_rng(seed))


def controlled(members, **controls):
    return ControlledGroup(np.asarray(members), {kind: np.asarray(drawn) for kind, drawn in controls.items()})


def random_groups(candidates, size, n_groups, rng):
    return np.array([rng.choice(candidates, size, replace=False) for _ in range(n_groups)])


def writers_of_rare_targets(rng, strength=1.0, n_rows=600, n_neurons=60, vocabulary=80, width=24):
    """Evidence in which neurons 0 to 9 are active on rare rows and write the rare half of the vocabulary.

    With ``strength`` 0 they are as silent about it as the others, whose activations and weights are random.
    """
    unembedding = rng.normal(size=(vocabulary, width)) / np.sqrt(width)
    unembedding[:, 0] = np.repeat([-0.5, 0.5], vocabulary // 2)
    weight = np.column_stack([np.zeros(n_neurons), 0.15 * rng.normal(size=(n_neurons, width))])
    rare = np.arange(n_rows) % 2 == 0
    activation = rng.normal(size=(n_rows, n_neurons))
    weight[:10] *= 1 - strength
    weight[:10, 1] += 0.2 * strength
    activation[:, :10] += strength * np.where(rare, 3.0, 0.0)[:, None]
    target = np.where(rare, vocabulary // 2, 0) + rng.integers(0, vocabulary // 2, n_rows)
    stream = 0.5 * rng.normal(size=(n_rows, width)) + 2 * unembedding[target]
    layer = layer_of(weight, unembedding)
    # Most positions of a text are like the common rows, where these neurons rest.
    return evidence_of(layer, stream, activation, target, rare, np.arange(n_rows) // 10, np.zeros(n_neurons), rng=rng)
