"""Which heads are ablated together, what replaces their outputs, and what that costs."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from rareneurons.models.architectures import Architecture

# What replaces a head's output: its mean over evaluated positions, zero, or the value at position 0, which is the
# output of a head that attends to that position alone.
AblationKind = Literal["mean", "zero", "bos"]
KINDS: tuple[AblationKind, ...] = ("mean", "zero", "bos")
Unit = Literal["head", "layer", "set"]
Head = tuple[int, int]  # layer, and head in that layer


@dataclass(frozen=True)
class Ablation:
    """Heads, as (layer, head), whose outputs are replaced together: one head, a whole layer or a random set."""

    unit: Unit
    kind: AblationKind
    heads: tuple[Head, ...]

    @property
    def lowest_layer(self) -> int:
        """The layer from which the model is run again."""
        return min(layer for layer, _ in self.heads)

    def heads_of(self, layer: int) -> list[int]:
        """Its heads in one layer."""
        return [head for own, head in self.heads if own == layer]


def reachable_layers(architecture: Architecture) -> range:
    """Layers whose heads can change the last MLP: all, except the last if attention and MLP run in parallel."""
    return range(architecture.n_layers - int(architecture.parallel_blocks))


def heads_of_layers(architecture: Architecture, layers: Iterable[int]) -> list[Head]:
    """(layer, head) of all heads in some layers."""
    return [(layer, head) for layer in layers for head in range(architecture.n_heads)]


@dataclass(frozen=True)
class ChosenHeads:
    """Heads that are ablated exactly; no head is listed twice.

    ``candidates``: ablated in each kind. ``strongest``: the head of a layer with the largest effect, where it is no
    candidate. ``sample``: random ones among all others, which represent those that are not ablated. The last two are
    ablated in mean ablation alone. ``n_others``: how many heads are left out.
    """

    candidates: tuple[Head, ...]
    strongest: tuple[Head, ...] = ()
    sample: tuple[Head, ...] = ()
    n_others: int = 0

    def measured(self, kind: AblationKind) -> list[Head]:
        """Those that are ablated in one kind, by layer and head."""
        more = (*self.strongest, *self.sample) if kind == "mean" else ()
        return sorted((*self.candidates, *more))

    def covers(self, kind: AblationKind) -> bool:
        """Whether numbers over all heads can be taken from those that are ablated in this kind."""
        return kind == "mean" or self.n_others == len(self.strongest) == len(self.sample) == 0


def every_head(architecture: Architecture) -> ChosenHeads:
    """All heads of all layers."""
    return ChosenHeads(tuple(heads_of_layers(architecture, range(architecture.n_layers))))


def planned_ablations(
    architecture: Architecture, n_sets: int, rng: np.random.Generator, chosen: ChosenHeads | None = None
) -> list[Ablation]:
    """The chosen heads, every whole layer, and in mean ablation random sets of heads.

    Args:
        architecture: an open checkpoint.
        n_sets: number of random sets. Each has as many heads as a layer, drawn from all layers that reach the last MLP.
        rng: draws the sets.
        chosen: single heads that are ablated; by default every head. Whole layers are ablated in the kinds that cover
            all heads.

    Returns:
        The ablations. There are no sets if fewer than two layers reach the last MLP, since a set would be the layer.
    """
    chosen = every_head(architecture) if chosen is None else chosen
    found = [Ablation("head", kind, (head,)) for kind in KINDS for head in chosen.measured(kind)]
    found += [
        Ablation("layer", kind, tuple(heads_of_layers(architecture, [layer])))
        for kind in KINDS
        if chosen.covers(kind)
        for layer in range(architecture.n_layers)
    ]
    reachable = heads_of_layers(architecture, reachable_layers(architecture))
    if len(reachable) > architecture.n_heads:
        draws = [rng.choice(len(reachable), architecture.n_heads, replace=False) for _ in range(n_sets)]
        found += [Ablation("set", "mean", tuple(reachable[one] for one in sorted(drawn))) for drawn in draws]
    return found


def layer_evaluations(n_layers: int, ablations: Sequence[Ablation]) -> int:
    """Number of times that a document passes through a layer, in which the cost of routing is stated.

    There are two whole passes, one for the means of the heads' outputs and one for the residual streams. Each ablation
    then costs the layers from its lowest one upwards: 2 n + sum (n - lowest layer).
    """
    return 2 * n_layers + sum(n_layers - ablation.lowest_layer for ablation in ablations)
