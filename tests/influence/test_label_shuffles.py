"""Influence under exchanged labels, against one labelling at a time with the project's other functions."""

import numpy as np
import pytest
import torch

from rareneurons.influence.label_shuffles import (
    EffectsAtRows,
    LabelShuffles,
    excess_of_draws,
    influence_of_labels,
    label_shuffles,
)
from rareneurons.influence.sums import InfluenceSums, clustered_mean
from rareneurons.influence.tiles import DeltaLoss, PairCounts
from rareneurons.rows import labels_exchanged
from rareneurons.stats import document_weights

N = 6


@pytest.fixture
def labelled(rng):
    """40 documents of 2 to 9 rows: effects (T, N), document ids in any order, labels (T, 2)."""
    document = rng.permutation(np.repeat(np.arange(40) * 3, rng.integers(2, 10, size=40)))
    first = rng.random(len(document)) < 0.4
    second = ~first & (rng.random(len(document)) < 0.7)
    return rng.normal(0.3, 1, size=(len(document), N)), document, np.column_stack([first, second])


def excess_of(effects, document, labels):
    """A difference of two means over its clustered error, document by document."""
    means = [effects[label].mean(0) for label in labels.T]
    parts = []
    for d in np.unique(document):
        here = [label & (document == d) for label in labels.T]
        one, two = ((effects[h] - m).sum(0) / n for h, m, n in zip(here, means, labels.sum(0), strict=True))
        parts.append(one - two)
    parts = np.array(parts)
    return (means[0] - means[1]) / np.sqrt(len(parts) / (len(parts) - 1) * np.square(parts).sum(0))


@pytest.mark.oracle
def test_each_labelling_alone(labelled, rng):
    effects, document, labels = labelled
    shuffled = np.stack([labels, *(labels_exchanged(labels, document, rng) for _ in range(5))])
    found = influence_of_labels(effects, document, shuffled)
    for k, these in enumerate(shuffled):
        np.testing.assert_allclose(found.mean[k], effects[these[:, 0]].mean(0), rtol=1e-12)
        np.testing.assert_allclose(found.mean_abs[k], np.abs(effects[these[:, 0]]).mean(0), rtol=1e-12)
        np.testing.assert_allclose(found.excess[k], excess_of(effects, document, these), rtol=1e-9)


def test_labels_stay_in_their_documents_and_unlabelled_rows_unlabelled(labelled, rng):
    _, document, labels = labelled
    exchanged = labels_exchanged(labels, document, rng)
    assert (exchanged != labels).any()
    assert (exchanged.any(1) == labels.any(1)).all()
    for d in np.unique(document):
        assert (exchanged[document == d].sum(0) == labels[document == d].sum(0)).all()


@pytest.mark.oracle
def test_a_draw_repeats_documents(labelled, rng):
    effects, document, labels = labelled
    ids = np.unique(document)

    def sums(label):
        parts = [effects[label & (document == d)] for d in ids]
        counts = np.array([len(part) for part in parts])
        return InfluenceSums(ids, counts, np.array([p.sum(0) for p in parts]), np.array([abs(p).sum(0) for p in parts]))

    weights = document_weights(len(ids), 4, rng)
    found = excess_of_draws(sums(labels[:, 0]), sums(labels[:, 1]), weights)
    for weight, row in zip(weights, found, strict=True):
        drawn = [(d, copy) for d, w in zip(ids, weight, strict=True) for copy in range(w)]
        rows = np.concatenate([np.flatnonzero(document == d) for d, _ in drawn])
        new_ids = np.concatenate([np.full((document == d).sum(), d * 100 + copy) for d, copy in drawn])
        np.testing.assert_allclose(row, excess_of(effects[rows], new_ids, labels[rows]), rtol=1e-9)


def test_one_condition_s_error_is_the_clustered_one(labelled):
    """Where the second condition has no spread, the excess is the first mean over its own clustered error."""
    effects, document, labels = labelled
    effects = np.where(labels[:, 1, None], 0.0, effects)
    ids = np.unique(document)
    per_document = np.array([effects[labels[:, 0] & (document == d)].sum(0) for d in ids])
    mean, error = clustered_mean(per_document, np.array([(labels[:, 0] & (document == d)).sum() for d in ids]))
    np.testing.assert_allclose(influence_of_labels(effects, document, labels[None]).excess[0], mean / error, rtol=1e-9)


def test_no_effect_has_no_excess(labelled):
    _, document, labels = labelled
    assert (influence_of_labels(np.zeros((len(document), 2)), document, labels[None]).excess == 0).all()


@pytest.mark.calibration
def test_only_neurons_that_know_the_label_have_an_excess_beyond_exchanged_labels(labelled, rng):
    """Neuron 0 matters twice as much on rows of the first label, neuron 1 much and everywhere."""
    effects, document, labels = labelled
    effects[:, 0] += labels[:, 0]
    effects[:, 1] += 5
    found = label_shuffles(effects, document, labels, 200, rng)
    beyond = (found.exchanged.excess >= found.own_excess).mean(0)
    assert beyond[0] < 0.01
    assert beyond[1] > 0.02
    assert (found.exchanged.mean[:, 1] > found.exchanged.mean[:, 2:].max(1)).all()


def test_effects_of_tiles_and_arrays_round_trip(rng):
    values = rng.normal(size=(7, N))
    mask = np.array([1, 0, 1, 1, 0, 0, 1], dtype=bool)
    kept = EffectsAtRows(mask, N)
    for rows in (slice(0, 3), slice(3, 7)):
        for neurons in (slice(0, 4), slice(4, N)):
            kept.add(DeltaLoss(rows, neurons, torch.from_numpy(values[rows, neurons]), PairCounts()))
    np.testing.assert_allclose(kept.values, values[mask], rtol=1e-6)
    shuffles = label_shuffles(values, np.repeat([0, 1, 2], [3, 2, 2]), np.ones((7, 2), bool), 3, rng)
    again = LabelShuffles.from_arrays(shuffles.arrays())
    np.testing.assert_allclose(again.own_excess, shuffles.own_excess, rtol=1e-6)
    np.testing.assert_allclose(again.exchanged.mean_abs, shuffles.exchanged.mean_abs, rtol=1e-6)
