"""Mixtures of experts as one wide MLP each, most of whose neurons are silent at any one position.

A routed expert's neuron is active where its expert is chosen: its activation is the routing weight times the expert's
own, and 0 elsewhere. Then the layer's output is ``sum_n a_n W_out[n]``, as in a dense MLP, so all statements about the
neurons of a dense MLP hold for it. Neuron ``i`` of expert ``e`` is number ``e * width + i``; the neurons of a shared
expert, whose activation is its gate times its own, come last, and count as the expert after the routed ones.
"""

from typing import Any

import numpy as np
import torch
from torch import nn

from rareneurons.errors import CheckpointError
from rareneurons.models.architectures.families import Llama
from rareneurons.models.spread import is_spread

PARTS = {"gate", "experts", "shared_expert", "shared_expert_gate"}
LAYOUT = {"has_gate": True, "has_bias": False, "is_concatenated": True, "is_transposed": False}


class ExpertsOutput(nn.Module):
    """Output projections of all experts side by side, (..., N) to (..., d)."""

    mixture: Any

    def __init__(self, mixture: Any) -> None:
        super().__init__()
        self.mixture = mixture

    @property
    def weight(self) -> torch.Tensor:
        """All experts' output weights as one linear layer would hold them, (d, N); a copy."""
        routed = self.mixture.experts.down_proj.transpose(1, 2).flatten(0, 1)
        shared = [part.down_proj.weight.T for part in shared_expert(self.mixture)]
        return torch.cat([routed, *shared]).T

    def forward(self, activation: torch.Tensor) -> torch.Tensor:
        """The mixture's output (..., d). Experts whose neurons are all 0 at a position are not run there."""
        flat = activation.flatten(0, -2)
        down = self.mixture.experts.down_proj
        width = down.shape[-1]
        output = flat.new_zeros(len(flat), down.shape[1])
        for expert, weight in enumerate(down):
            mine = flat[:, expert * width : (expert + 1) * width]
            # A silent neuron has a gradient, too.
            at = slice(None) if torch.is_grad_enabled() else mine.any(-1).nonzero().flatten()
            output[at] += nn.functional.linear(mine[at], weight)
        for part in shared_expert(self.mixture):
            output = output + part.down_proj(flat[:, len(down) * width :])
        return output.unflatten(0, activation.shape[:-1])


class WideMixture(nn.Module):
    """A mixture of experts, computed so that its neurons' activations are side by side at the input of ``output``.

    It computes what ``mixture`` does, in the precision of its input; transformers' routers round to float32.
    """

    mixture: Any

    def __init__(self, mixture: Any, where: str) -> None:
        super().__init__()
        refuse_other_layouts(mixture, where)
        self.mixture = mixture
        self.output = ExpertsOutput(mixture)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """Output (batch, positions, d) for the normed residual, of the same shape."""
        return self.output(self.activation(hidden.flatten(0, 1)).unflatten(0, hidden.shape[:2]))

    def activation(self, hidden: torch.Tensor) -> torch.Tensor:
        """Activations (positions, N) of all neurons for inputs (positions, d)."""
        experts = self.mixture.experts
        weights, chosen = self.routing(hidden)
        n_experts, width = len(experts.down_proj), experts.down_proj.shape[-1]
        routed = hidden.new_zeros(len(hidden), n_experts, width)
        for expert in chosen.unique().tolist():
            at, place = torch.where(chosen == expert)
            inputs = experts.gate_up_proj[expert]
            gate, up = nn.functional.linear(hidden[at], inputs).chunk(2, -1)
            routed[at, expert] = experts.act_fn(gate) * up * weights[at, place, None]
        shared = [
            torch.sigmoid(self.mixture.shared_expert_gate(hidden))
            * part.act_fn(part.gate_proj(hidden))
            * part.up_proj(hidden)
            for part in shared_expert(self.mixture)
        ]
        return torch.cat([routed.flatten(1), *shared], -1)

    def routing(self, hidden: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Weights of the chosen experts and which they are, each (positions, experts a position)."""
        router = self.mixture.gate
        logits, _, chosen = router(hidden)
        weights = torch.softmax(logits, -1).gather(-1, chosen)
        if getattr(router, "norm_topk_prob", True):  # Mixtral's router has no such switch and always norms
            weights = weights / weights.sum(-1, keepdim=True)
        return weights, chosen


def shared_expert(mixture: Any) -> list[Any]:
    """The expert that every position passes through, where there is one."""
    return [mixture.shared_expert] if hasattr(mixture, "shared_expert") else []


def refuse_other_layouts(mixture: Any, where: str) -> None:
    """Raise unless the mixture is built of the parts, in the layout, that :class:`WideMixture` computes.

    Raises:
        CheckpointError: names what differs.
    """
    found = {name for name, _ in mixture.named_children()}
    layout = {name: getattr(mixture.experts, name, None) for name in LAYOUT}
    weights = {name for name, _ in mixture.experts.named_parameters()}
    if not found <= PARTS or layout != LAYOUT or weights != {"gate_up_proj", "down_proj"}:
        raise CheckpointError(
            f"{where}: a mixture of {sorted(found)} whose experts have {sorted(weights)} and {layout}; expected no "
            f"part beyond {sorted(PARTS)}, experts with ['down_proj', 'gate_up_proj'] and {LAYOUT}. This version of "
            "the architecture needs an adapter of its own"
        )


class Mixture(Llama):
    """OLMoE, Mixtral, Qwen2-MoE and Qwen3-MoE: as Llama, with a mixture of experts in the place of some or all MLPs.

    Mixtures are replaced within the model by :class:`WideMixture`, which computes the same.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__(model)
        if is_spread(model):  # WideMixture uses the experts' weights itself, so accelerate would not bring them
            raise CheckpointError(
                f"device_map: {model.config.model_type} is a mixture of experts, whose neurons can only be read where "  # type: ignore[union-attr]
                "all weights are on one device; set device_map: null"
            )
        for layer, block in enumerate(self.blocks):
            if hasattr(block.mlp, "experts"):
                block.mlp = WideMixture(block.mlp, f"layer {layer}")

    def mixture(self, layer: int) -> WideMixture | None:
        """The layer's mixture; None where it has a dense MLP."""
        mlp = self.block(layer).mlp
        return mlp if isinstance(mlp, WideMixture) else None

    def mlp_output(self, layer: int) -> nn.Module:
        mixture = self.mixture(layer)
        return super().mlp_output(layer) if mixture is None else mixture.output

    def mlp_inputs(self, layer: int) -> dict[str, torch.Tensor]:
        wide = self.mixture(layer)
        if wide is None:
            return super().mlp_inputs(layer)
        gate, up = wide.mixture.experts.gate_up_proj.chunk(2, 1)
        shared = shared_expert(wide.mixture)
        return {
            "w_gate": torch.cat([gate.flatten(0, 1), *(part.gate_proj.weight for part in shared)]),
            "w_up": torch.cat([up.flatten(0, 1), *(part.up_proj.weight for part in shared)]),
        }

    def expert_of_neuron(self, layer: int) -> np.ndarray | None:
        """Number of each neuron's expert, -1 in a layer with a dense MLP."""
        n_neurons = len(self.mlp_output_weight(layer))
        wide = self.mixture(layer)
        if wide is None:
            return np.full(n_neurons, -1)
        n_experts, _, width = wide.mixture.experts.down_proj.shape
        return np.minimum(np.arange(n_neurons) // width, n_experts)  # a shared expert may be wider than the others
