"""Which heads a screen names, and which stand for the others."""

import numpy as np
import pytest

from rareneurons.attention.choice import choose_heads, stand_ins
from rareneurons.attention.heads import KINDS, ChosenHeads
from rareneurons.attention.screening import LOSS, Screen

LAYERS, HEADS = 5, 4
EVERYONE = [(layer, head) for layer in range(LAYERS) for head in range(HEADS)]
REACHABLE = EVERYONE[: -2 * HEADS]


def screen_of(rare, common=None, matched=None, loss=None) -> Screen:
    """A screen with these sizes (H,) in mean ablation on the group ``g``; other kinds of ablation say the opposite."""

    def sizes(on_rare, on_common):
        found = np.tile(1 / (1 + np.stack([on_rare, on_common]))[:, None], (1, len(KINDS), 1))
        found[:, 0] = on_rare, on_common
        return found

    own = sizes(rare, rare if common is None else common)
    control = sizes(*(2 * [np.ones(len(rare)) if matched is None else matched]))
    on_loss = sizes(*(2 * [np.zeros(len(rare)) if loss is None else loss]))
    return Screen(EVERYONE, {"g": own, "g.matched": control, LOSS: on_loss})


def chosen(screen, candidates=2, sample=3, seed=0, groups=("g",)):
    return choose_heads(screen, groups, REACHABLE, candidates, sample, np.random.default_rng(seed))


def test_candidates_have_the_largest_effect_or_the_largest_routing():
    effect = np.ones(20)
    effect[[3, 9]] = 5, 4  # large on both conditions
    common = effect.copy()
    effect[6], common[6] = 0.3, 0.01  # small, but on rare rows alone
    effect[16] = 50  # cannot reach the last MLP
    matched = np.where(np.arange(20) == 6, 0.02, common)
    found = chosen(screen_of(effect, common, matched), candidates=2)
    assert {EVERYONE[3], EVERYONE[9], EVERYONE[6]} <= set(found.heads.candidates)
    assert EVERYONE[16] not in found.heads.candidates
    assert found.shares["g"][6] == pytest.approx((0.3 - 0.02 - (0.01 - 0.02)) / 0.3)
    assert np.isnan(found.shares["g"][12:]).all()


def test_every_layer_has_its_strongest_head_and_others_are_sampled_once():
    rng = np.random.default_rng(0)
    effect, loss = rng.random(20) + 0.1, rng.random(20)
    found = chosen(screen_of(effect, loss=loss)).heads
    listed = [*found.candidates, *found.strongest, *found.sample]
    assert len(set(listed)) == len(listed) == 20 - found.n_others
    for layer in range(LAYERS):
        score = effect if layer < 3 else loss  # heads that cannot reach the neurons are told apart by the loss
        strongest = max((head for head in EVERYONE if head[0] == layer), key=lambda head: score[EVERYONE.index(head)])
        assert strongest in found.candidates + found.strongest
    assert len(found.sample) == 3
    assert chosen(screen_of(effect, loss=loss), seed=1).heads.sample != found.sample
    assert found.measured("mean") == sorted(listed)
    assert found.measured("zero") == found.measured("bos") == sorted(found.candidates)
    assert found.covers("mean")
    assert not found.covers("zero")
    assert ChosenHeads(tuple(EVERYONE)).covers("bos")
    assert chosen(screen_of(effect), sample=100).heads.n_others == 0


def test_without_a_group_the_effect_on_the_loss_counts():
    loss = np.arange(20.0)
    found = chosen(screen_of(np.ones(20), loss=loss), groups=()).heads
    assert found.candidates == (EVERYONE[18], EVERYONE[19])


def test_all_sampled_heads_are_drawn_alike():
    counts = dict.fromkeys(EVERYONE, 0)
    screen = screen_of(np.where(np.arange(20) % 4, 1.0, 2.0))
    for seed in range(300):
        for head in chosen(screen, seed=seed).heads.sample:
            counts[head] += 1
    drawn = [n for n in counts.values() if n]
    assert sum(drawn) == 900
    assert max(drawn) < 1.5 * np.mean(drawn)


def test_routing_that_would_double_an_effect_is_named_unless_others_route_as_much():
    effect = np.ones(20)
    quiet = chosen(screen_of(effect))
    assert quiet.named_if_planted("g", REACHABLE).all()
    common = np.ones(20)
    common[[0, 5]] = 0.1
    effect[[0, 5]] = 1.2
    loud = chosen(screen_of(effect, common))
    assert loud.least_share == pytest.approx(1.1 / 1.2)
    assert not loud.named_if_planted("g", REACHABLE[1:5]).any()


def test_measured_heads_stand_for_themselves_and_sampled_ones_for_the_rest():
    measured, sample = [(0, 1), (1, 0), (1, 2), (2, 3)], ((1, 2), (1, 0))
    population = [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]
    assert stand_ins(population, measured, sample).tolist() == [2, 0, 1, 1, 2, 2]
    assert stand_ins(population, measured, ()).tolist() == [0, 1, 2]
    assert stand_ins(measured, measured, sample).tolist() == [0, 1, 2, 3]
    assert stand_ins([(0, 0), (0, 1)], measured, sample).tolist() == [0], "the sample is of other layers"


@pytest.mark.calibration
def test_sums_over_stand_ins_are_unbiased(rng):
    values = np.exp(rng.normal(size=20))
    certain = [EVERYONE[number] for number in np.argsort(values)[-5:]]
    others = [head for head in EVERYONE if head not in certain]
    found = []
    for _ in range(400):
        sample = tuple(others[number] for number in rng.permutation(len(others))[:5])
        measured = sorted([*certain, *sample])
        own = np.array([values[EVERYONE.index(head)] for head in measured])
        found.append(own[stand_ins(EVERYONE, measured, sample)].sum())
    assert abs(np.mean(found) - values.sum()) < 4 * np.std(found) / 20
