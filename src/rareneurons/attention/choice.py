"""Which heads are ablated exactly: those that a screen of all heads names, and a random sample of the others."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import cycle

import numpy as np

from rareneurons.attention.heads import KINDS, ChosenHeads, Head
from rareneurons.attention.screening import LOSS, Screen
from rareneurons.attention.selectivity import routing_shares, selectivity_beyond

RARE, MEAN = 0, KINDS.index("mean")
PLANTED = 0.5  # power is stated for routing that is this share of a head's effect


@dataclass(frozen=True)
class Choice:
    """The chosen heads and what they were chosen by.

    ``effects`` and ``shares``: group -> (H,) in mean ablation, of the heads of the screen: first-order effect on rare
    rows, and the share of it that is routing; NaN for heads that cannot reach the last MLP. ``least_share``: a head
    with a larger share becomes a candidate. ``n_candidates``: by effect, and by share.
    """

    screen: Screen
    heads: ChosenHeads
    effects: dict[str, np.ndarray]
    shares: dict[str, np.ndarray]
    least_share: float
    n_candidates: int

    def named_if_planted(self, group: str, heads: Sequence[Head]) -> np.ndarray:
        """Whether each head would be a candidate if it moved a group's rare rows by routing as much again.

        Routing is then ``PLANTED``, one half, of its effect beside what it has by itself.
        """
        share = dict(zip(self.screen.heads, self.shares[group], strict=True))
        return np.array([PLANTED + (1 - PLANTED) * share[head] > self.least_share for head in heads], dtype=bool)


def choose_heads(
    screen: Screen,
    groups: Sequence[str],
    reachable: Collection[Head],
    n_candidates: int,
    n_sample: int,
    rng: np.random.Generator,
) -> Choice:
    """Candidates by effect and by routing, the strongest head of each layer, and a random sample of the others.

    Args:
        screen: first-order effects of all heads.
        groups: names of the groups that heads may route to; without any, the effect is that on the loss.
        reachable: heads that can reach the last MLP. Of the others only the effect on the loss counts.
        n_candidates: number of candidates by effect, and as many by the share of it that is routing. Of several groups
            the one counts for which a head has most; effects on them are taken in units of the median head's.
        n_sample: largest number of sampled others.
        rng: draws the sample.
    """
    heads = screen.heads
    reaches = np.array([head in reachable for head in heads])
    loss = screen.sizes[LOSS][RARE, MEAN]
    effects = {name: np.where(reaches, screen.sizes[name][RARE, MEAN], np.nan) for name in groups}
    shares = {name: _shares(screen, name, reaches) for name in groups}
    effect = _largest_of([each / np.nanmedian(each) for each in effects.values()]) if effects else loss
    share = _largest_of(list(shares.values())) if shares else np.full(len(heads), np.nan)
    by_share = _first(share, n_candidates)
    candidates = {*_first(effect, n_candidates), *by_share}
    layer_of = np.array([layer for layer, _ in heads])
    strongest = {_strongest(np.flatnonzero(layer_of == layer), effect, loss) for layer in np.unique(layer_of)}
    strongest -= candidates
    others = np.setdiff1d(np.arange(len(heads)), list(candidates | strongest))
    sample = rng.permutation(others)[:n_sample]

    def named(numbers: Iterable[int]) -> tuple[Head, ...]:
        return tuple(heads[number] for number in numbers)

    chosen = ChosenHeads(named(sorted(candidates)), named(sorted(strongest)), named(sample), len(others) - len(sample))
    least = min((float(share[number]) for number in by_share), default=float("inf"))
    return Choice(screen, chosen, effects, shares, least, n_candidates)


def _shares(screen: Screen, group: str, reaches: np.ndarray) -> np.ndarray:
    """Routing as a share of effect (H,), by first-order effects; NaN where it is unknown."""
    own, matched = (screen.sizes[name][:, MEAN, reaches].T for name in (group, f"{group}.matched"))
    found = np.full(len(reaches), np.nan)
    found[reaches] = routing_shares(selectivity_beyond(own, matched), own[:, RARE])
    return found


def _largest_of(scores: Sequence[np.ndarray]) -> np.ndarray:
    """Each head's largest known score."""
    return np.fmax.reduce(scores)


def _first(score: np.ndarray, n: int) -> list[int]:
    """The heads with the n largest known scores."""
    order = np.argsort(-score, kind="stable")
    return [int(number) for number in order[:n] if np.isfinite(score[number])]


def _strongest(mine: np.ndarray, effect: np.ndarray, loss: np.ndarray) -> int:
    """The head of a layer with the largest effect or, where none of them reaches the last MLP, effect on the loss."""
    score = effect[mine] if np.isfinite(effect[mine]).any() else loss[mine]
    return int(mine[np.nanargmax(score)])


def stand_ins(population: Sequence[Head], measured: Sequence[Head], sample: Collection[Head]) -> np.ndarray:
    """Which measured head represents each head of a population: an unmeasured head is represented by a sampled one.

    Returns:
        Indices into ``measured``. Sampled heads take turns. Where no head was sampled, unmeasured ones are left out.
    """
    place = {head: number for number, head in enumerate(measured)}
    sampled = [place[head] for head in sample if head in set(population)]
    turn = cycle(sampled)
    return np.array(
        [place[head] if head in place else next(turn) for head in population if head in place or sampled], dtype=int
    )
