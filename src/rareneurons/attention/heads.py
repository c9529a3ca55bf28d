"""Which heads are ablated together, what stands in their place, and what that costs."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from rareneurons.models.architectures import Architecture

# Mean of the head's output over evaluated positions; nothing; the value of position 0, as if only it were attended to.
AblationKind = Literal["mean", "zero", "bos"]
KINDS: tuple[AblationKind, ...] = ("mean", "zero", "bos")
Unit = Literal["head", "layer", "set"]


@dataclass(frozen=True)
class Ablation:
    """Heads, as (layer, head), whose outputs are replaced together: one head, a whole layer, or a random set."""

    unit: Unit
    kind: AblationKind
    heads: tuple[tuple[int, int], ...]

    @property
    def lowest_layer(self) -> int:
        """The layer that the model runs again from."""
        return min(layer for layer, _ in self.heads)

    def heads_of(self, layer: int) -> list[int]:
        """Its heads of one layer."""
        return [head for own, head in self.heads if own == layer]


def reachable_layers(architecture: Architecture) -> range:
    """Layers whose heads can change the last MLP: all, less the last where attention and MLP run in parallel."""
    return range(architecture.n_layers - int(architecture.parallel_blocks))


def heads_of_layers(architecture: Architecture, layers: Iterable[int]) -> list[tuple[int, int]]:
    """(layer, head) of all heads of some layers."""
    return [(layer, head) for layer in layers for head in range(architecture.n_heads)]


def planned_ablations(architecture: Architecture, n_sets: int, rng: np.random.Generator) -> list[Ablation]:
    """Every head and every whole layer in each kind of ablation, and random sets of heads in mean ablation.

    Args:
        architecture: an open checkpoint.
        n_sets: number of random sets; each has as many heads as a layer, of all layers that reach the last MLP.
        rng: draws the sets.

    Returns:
        The ablations. No sets where fewer than two layers reach the last MLP: a set would be the layer.
    """
    layers = range(architecture.n_layers)
    found = [Ablation("head", kind, (head,)) for kind in KINDS for head in heads_of_layers(architecture, layers)]
    found += [
        Ablation("layer", kind, tuple(heads_of_layers(architecture, [layer]))) for kind in KINDS for layer in layers
    ]
    candidates = heads_of_layers(architecture, reachable_layers(architecture))
    if len(candidates) > architecture.n_heads:
        draws = [rng.choice(len(candidates), architecture.n_heads, replace=False) for _ in range(n_sets)]
        found += [Ablation("set", "mean", tuple(candidates[one] for one in sorted(drawn))) for drawn in draws]
    return found


def layer_evaluations(n_layers: int, ablations: Sequence[Ablation]) -> int:
    """How often one document passes through one layer: the unit in which the cost of routing is stated.

    Two whole passes (means of the heads' outputs; the residual streams that are kept), then for each ablation the
    layers from its lowest one up, that one included: 2 n + sum (n - lowest layer).
    """
    return 2 * n_layers + sum(n_layers - ablation.lowest_layer for ablation in ablations)
