"""First-order effects of ablating every head of every layer, all at once, by random signs.

A backward pass gives the gradient of one number. For a document's rows and neurons with random signs v, let that number
be sum(v a / sd). Its gradient at the input of each layer's attention output projection, times the difference between a
head's replacement and its output, summed over positions, is sum(v e) for the head's first-order effects e on rows and
neurons, for every head and every kind of ablation. Its square has the expectation sum(e^2), because different signs are
independent (Hutchinson 1990).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from rareneurons.attention.heads import KINDS, Head, heads_of_layers
from rareneurons.attention.row_reader import Advance, RowReader, mean_head_outputs
from rareneurons.batches import Batch

LOSS = "loss"  # the name of effects on the loss, beside those of readouts


@dataclass(frozen=True)
class Screen:
    """Sizes of first-order effects of H heads, for each of C conditions and the K kinds of ablation in ``KINDS``.

    ``heads``: (layer, head) of every head of every layer. ``sizes``: name -> float64 (C, K, H), root mean square over a
    condition's rows: for each readout over its neurons (standard deviations), and for ``LOSS`` in nats.
    """

    heads: list[Head]
    sizes: dict[str, np.ndarray]


def screening_evaluations(n_layers: int, n_readouts: int, n_conditions: int, sign_draws: int) -> int:
    """Layer evaluations of a document: two forward passes, and a backward pass per readout, condition and draw.

    The loss counts beside the readouts. A backward pass without gradients of weights counts as a forward pass.
    """
    return n_layers * (2 + (n_readouts + 1) * n_conditions * sign_draws)


def screen_heads(
    reader: RowReader,
    masks: np.ndarray,
    readouts: Callable[[np.ndarray], Mapping[str, np.ndarray]],
    sign_draws: int,
    rng: np.random.Generator,
    advance: Advance,
) -> Screen:
    """First-order effects of every head on the last MLP's neurons and on the loss.

    Args:
        reader: T rows and the model.
        masks: boolean (C, T), rows of each condition.
        readouts: from the boolean (N,) of neurons that vary to name -> (N,) weights of a mean over neurons.
        sign_draws: number of random sign vectors per document. The squares' relative error is about
            sqrt(2 / (documents x draws)).
        rng: draws the signs.
        advance: called with the layer evaluations of each pass.

    Returns:
        The sizes. A readout whose weights are unknown (NaN) has unknown sizes.
    """
    means, deviation = mean_head_outputs(reader, advance)
    weights = readouts((deviation > 0).cpu().numpy())
    signs = {name: _signed_neurons(weight, deviation) for name, weight in weights.items()}
    architecture = reader.architecture
    shape = len(masks), len(KINDS), architecture.n_layers, architecture.n_heads
    squares = {name: np.zeros(shape) for name in (*weights, LOSS)}
    for batch in reader.batches:
        passes = _Backward(reader, batch, means)
        advance(passes.layer_evaluations)
        for c, mask in enumerate(masks):
            rows = torch.from_numpy(np.flatnonzero(mask[batch.rows])).to(reader.device)
            for _ in range(sign_draws):
                for name in squares:
                    squares[name][c] += passes.squares(rows, signs.get(name), rng) / sign_draws
                    advance(passes.layer_evaluations)
    n_rows = masks.sum(1)[:, None, None, None]
    sizes = {name: np.sqrt(total / n_rows).reshape(*shape[:2], -1) for name, total in squares.items()}
    unknown = {name for name, weight in weights.items() if np.isnan(weight).any()}
    sizes = {name: np.where(name in unknown, np.nan, size) for name, size in sizes.items()}
    return Screen(heads_of_layers(architecture, range(architecture.n_layers)), sizes)


def _signed_neurons(weight: np.ndarray, deviation: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Neurons with a weight, and what their activations are multiplied with: root of the weight over deviation."""
    members = torch.from_numpy(np.flatnonzero(np.nan_to_num(weight))).to(deviation.device)
    chosen = torch.from_numpy(weight).to(deviation)[members]
    return members, chosen.sqrt() / deviation[members]


class _Backward:
    """A forward pass over a batch of blocks, and backward passes through it to the heads of every layer."""

    def __init__(self, reader: RowReader, batch: Batch, means: Mapping[int, torch.Tensor]) -> None:
        architecture = reader.architecture
        self.architecture, self.means, self.at = architecture, means, batch.at
        self.layer_evaluations = len(batch.tokens) * architecture.n_layers
        modules: dict[str, nn.Module] = {
            "mlp": architecture.mlp_output(architecture.n_layers - 1),
            "x": architecture.final_norm_module,
        }
        self.heads: list[torch.Tensor] = []
        handles = [
            architecture.attention_output(layer).register_forward_pre_hook(self._keep)
            for layer in range(architecture.n_layers)
        ]
        try:
            with torch.enable_grad():
                self.outputs = reader.run(batch, modules)
        finally:
            for handle in handles:
                handle.remove()
        with torch.enable_grad():
            x = self.outputs["x"].detach()[self.at].requires_grad_()
            losses = architecture.last_layer().losses(x, reader.target[batch.rows])
            (self.loss_gradient,) = torch.autograd.grad(losses.sum(), x)

    def _keep(self, _module: nn.Module, inputs: tuple) -> tuple:
        """Keep the heads' outputs of a layer. The graph begins at those of the first layer."""
        heads = inputs[0] if inputs[0].requires_grad else inputs[0].detach().requires_grad_()
        self.heads.append(heads)
        return (heads, *inputs[1:])

    def squares(
        self, rows: torch.Tensor, neurons: tuple[torch.Tensor, torch.Tensor] | None, rng: np.random.Generator
    ) -> np.ndarray:
        """Squares of signed sums of effects at some rows, summed over blocks.

        Args:
            rows: (n,) indices among the batch's rows.
            neurons: whose effects, and what they are multiplied with; None for the loss.
            rng: draws the signs.

        Returns:
            Float64 (K, layers, heads).
        """
        at = self.at[0][rows], self.at[1][rows]
        output = self.outputs["x" if neurons is None else "mlp"]
        gradient = torch.zeros_like(output)
        if neurons is None:
            gradient[at] = self.loss_gradient[rows] * self._signs((len(rows), 1), rng, output)
        else:
            members, factor = neurons
            signed = factor * self._signs((len(rows), len(members)), rng, output)
            gradient[at[0][:, None], at[1][:, None], members] = signed
        found = torch.autograd.grad(output, self.heads, gradient, retain_graph=True, allow_unused=True)
        return np.stack([self._squares_of_layer(layer, each) for layer, each in enumerate(found)], axis=1)

    @staticmethod
    def _signs(shape: tuple[int, int], rng: np.random.Generator, like: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(2 * rng.integers(0, 2, size=shape, dtype=np.int8) - 1).to(like)

    def _squares_of_layer(self, layer: int, gradient: torch.Tensor | None) -> np.ndarray:
        """(K, heads) by the gradient (blocks, positions, width) at the heads' outputs; 0 where they have no effect."""
        n_heads = self.architecture.n_heads
        if gradient is None:
            return np.zeros((len(KINDS), n_heads))
        outputs = self.heads[layer].detach()
        slope, own = gradient.sum(1), (gradient * outputs).sum(1)  # (blocks, width)
        references = {"mean": slope * self.means[layer], "zero": 0 * slope, "bos": slope * outputs[:, 0]}
        changes = torch.stack([references[kind] - own for kind in KINDS])
        return changes.unflatten(-1, (n_heads, -1)).double().sum(-1).square().sum(1).cpu().numpy()
