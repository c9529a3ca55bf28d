"""Effects of ablated heads on the last MLP's neurons and on the loss, by re-runs from the ablated layer upwards.

The residual stream that enters each layer is kept, so a head costs only the layers from its own upwards. Ablations that
start in the same layer share a pass as a batch. Control groups cost nothing, because a pass gives all neurons of the
last MLP. A head is replaced at *all* positions of a document.

Effects are differences between two runs in the model's own precision. In float32 a row's loss is rounded by 1e-6 nats.
Attention is causal: where nothing moved at a row or before it, its effects are exactly 0.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np
import pandas as pd
import torch

from rareneurons.attention.heads import Ablation, AblationKind, Unit, layer_evaluations, reachable_layers
from rareneurons.attention.row_reader import Progress, References, RowReader, mean_head_outputs, silent
from rareneurons.batches import Batch
from rareneurons.models.architectures import Architecture
from rareneurons.models.last_layer import LastLayer
from rareneurons.models.partial_run import attention_given, run_from
from rareneurons.tokens import Blocks
from rareneurons.trace import Recorder


@dataclass(frozen=True)
class Effects:
    """What each of I ablations did, for C conditions, D documents and the N neurons of the last MLP.

    ``varies`` boolean (N,): neurons that are not constant on the rows; the others have no unit of effect.
    ``by_neuron`` float64 (I, C, N): mean over a condition's rows of ``|a_ablated - a| / sd(a)``, 0 where constant.
    ``by_document``: name -> float64 (I, C, D), sums over a document's rows. Each name of ``readouts`` has that effect,
    averaged with its weights (standard deviations). ``delta_loss`` and ``abs_delta_loss`` are in nats. ``held.<name>``
    is the change of the loss when the named neurons keep their clean values, NaN for ablations without it.
    ``belongs`` boolean (C, D, T): whether each row belongs to a condition and document.
    """

    ablations: list[Ablation]
    varies: np.ndarray
    by_neuron: np.ndarray
    by_document: dict[str, np.ndarray]
    belongs: np.ndarray

    @property
    def rows(self) -> np.ndarray:
        """Number of rows of each condition in each document, int64 (C, D)."""
        return self.belongs.sum(-1)

    def on_documents(self, documents: np.ndarray) -> "Effects":
        """The sums by document of some documents, by a boolean mask (D,); ``by_neuron`` is unknown there."""
        kept = {name: sums[..., documents] for name, sums in self.by_document.items()}
        unknown = np.full(self.by_neuron.shape, np.nan)
        return replace(self, by_neuron=unknown, by_document=kept, belongs=self.belongs[:, documents])

    def places(self, unit: Unit, kind: AblationKind, layers: Iterable[int]) -> np.ndarray:
        """Indices of the ablations of one unit and kind that start in one of the layers, in their order."""
        wanted = set(layers)
        return np.array(
            [
                number
                for number, each in enumerate(self.ablations)
                if each.unit == unit and each.kind == kind and each.lowest_layer in wanted
            ],
            dtype=int,
        )


class _CleanBatch:
    """A batch of blocks without ablation, from which re-runs start and with which they are compared."""

    def __init__(self, rows: RowReader, batch: Batch) -> None:
        architecture = rows.architecture
        layers = range(architecture.n_layers)
        modules = {f"residual.{layer}": architecture.block(layer) for layer in layers}
        modules |= {f"heads.{layer}": architecture.attention_output(layer) for layer in layers}
        modules |= {"mlp": architecture.mlp_output(architecture.n_layers - 1), "x": architecture.final_norm_module}
        recorded = rows.run(batch, modules)
        self.batch, self.layer = batch, architecture.last_layer()
        self.residual = [recorded[f"residual.{layer}"] for layer in layers]
        self.heads = [recorded[f"heads.{layer}"] for layer in layers]
        self.activation = recorded["mlp"][batch.at]
        self.target = rows.target[batch.rows]
        self.loss = self.layer.losses(recorded["x"][batch.at], self.target)


@contextmanager
def heads_replaced(
    architecture: Architecture, ablations: Sequence[Ablation], means: Mapping[int, torch.Tensor], moved: torch.Tensor
) -> Iterator[None]:
    """While active, heads are replaced in a batch that holds one copy of the same blocks per ablation.

    Args:
        architecture: an open checkpoint.
        ablations: one per copy.
        means: layer -> (width,) references of mean ablation.
        moved: boolean (ablations, blocks, positions); set to true where a head's output moved there or before.
    """

    def hold(layer: int, inputs: torch.Tensor) -> torch.Tensor:
        held = inputs.clone()
        for copy, values in enumerate(held.unflatten(0, moved.shape[:2])):
            for head in ablations[copy].heads_of(layer):
                columns = architecture.head_columns(layer, head)
                before = values[..., columns].clone()
                values[..., columns] = _reference(ablations[copy].kind, before, means[layer][columns])
                moved[copy] |= (values[..., columns] != before).any(-1).cumsum(-1) > 0
        return held

    layers = sorted({layer for ablation in ablations for layer, _ in ablation.heads})
    handles = [
        architecture.attention_output(layer).register_forward_pre_hook(
            lambda _module, inputs, layer=layer: (hold(layer, inputs[0]), *inputs[1:])
        )
        for layer in layers
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _reference(kind: AblationKind, output: torch.Tensor, mean: torch.Tensor) -> torch.Tensor:
    """What replaces a head's output (blocks, positions, width).

    At position 0 a head can attend only to that position. Its output there is therefore the one of BOS-only attention.
    """
    if kind == "mean":
        return mean.expand_as(output)
    return torch.zeros_like(output) if kind == "zero" else output[:, :1].expand_as(output)


@torch.inference_mode()
def head_effects(
    architecture: Architecture,
    blocks: Blocks,
    rows: pd.DataFrame,
    masks: np.ndarray,
    ablations: Sequence[Ablation],
    readouts: Callable[[np.ndarray], Mapping[str, np.ndarray]],
    held: Mapping[str, np.ndarray],
    batch_size: int,
    ablations_per_pass: int,
    progress: Progress = silent,
    references: References | None = None,
) -> Effects:
    """Run every ablation and sum its effects by document.

    Args:
        architecture: an open checkpoint; its precision is that of the effects.
        blocks: evaluation blocks.
        rows: T rows, in block and position order.
        masks: boolean (C, T), rows of each condition.
        ablations: what is ablated; costs :func:`layer_evaluations` per document, less a whole pass where ``references``
            are given.
        readouts: from the boolean (N,) of neurons that vary to name -> (N,) weights of an average over neurons.
        held: name -> neurons that keep their clean values, in mean ablation of heads and layers that reach them.
        batch_size: blocks per pass.
        ablations_per_pass: copies of these blocks per pass, each with another ablation.
        progress: reports the layer evaluations.
        references: what replaces outputs in mean ablation, and the unit of effect of each neuron; by default those of
            these rows (:func:`mean_head_outputs`).

    Returns:
        The effects. Unreachable heads have effects of exactly 0 on the last MLP's neurons.
    """
    reader = RowReader(architecture, blocks, rows, batch_size)
    n_layers = architecture.n_layers
    evaluations = layer_evaluations(n_layers, ablations) - (0 if references is None else n_layers)
    with progress("ablated heads", reader.n_blocks * evaluations) as advance:
        means, deviation = mean_head_outputs(reader, advance) if references is None else references
        varies = (deviation > 0).cpu().numpy()
        sums = _Sums(len(ablations), len(varies), masks, rows["document"].to_numpy(), readouts(varies), list(held))
        neurons = {name: torch.tensor(members, device=reader.device) for name, members in held.items()}
        passes = _passes(architecture, ablations, ablations_per_pass)
        unit = torch.where(deviation > 0, deviation, torch.inf)
        for batch in reader.batches:
            clean = _CleanBatch(reader, batch)
            advance(len(batch.tokens) * n_layers)
            for chosen in passes:
                mine = [ablations[number] for number in chosen]
                change, losses = _changes(architecture, clean, mine, means, neurons, unit)
                sums.add(chosen, batch.rows, change, losses)
                advance(len(batch.tokens) * sum(n_layers - each.lowest_layer for each in mine))
    return sums.effects(list(ablations), varies)


def _changes(
    architecture: Architecture,
    clean: _CleanBatch,
    ablations: Sequence[Ablation],
    means: Mapping[int, torch.Tensor],
    held: Mapping[str, torch.Tensor],
    unit: torch.Tensor,
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """What ablations that share a pass change at a batch's rows.

    Returns:
        Sizes (ablations, rows, N) of the neurons' changes, in units (N,); and changes (ablations, rows) of the loss,
        also with neurons held at their clean values.
    """
    activation, residual, moved = _rerun(architecture, clean, ablations, means)
    streams = {"delta_loss": residual}
    if _is_held(architecture, ablations[0]):
        for name, members in held.items():
            kept = _with_clean_neurons(clean.layer, residual, activation, clean.activation, members)
            streams[f"held.{name}"] = kept
    target = clean.target.expand(len(ablations), -1)
    losses = {
        name: torch.where(moved, clean.layer.losses(stream, target) - clean.loss, 0) for name, stream in streams.items()
    }
    return (activation - clean.activation).abs() / unit, losses


def _is_held(architecture: Architecture, ablation: Ablation) -> bool:
    """Whether neurons are also held at their clean values: in mean ablation of heads and layers that reach them."""
    return (
        ablation.kind == "mean" and ablation.unit != "set" and ablation.lowest_layer in reachable_layers(architecture)
    )


def _passes(architecture: Architecture, ablations: Sequence[Ablation], together: int) -> list[list[int]]:
    """Indices of the ablations that share a pass: those that start in the same layer and yield the same numbers."""

    def alike(number: int) -> tuple[int, bool]:
        return ablations[number].lowest_layer, _is_held(architecture, ablations[number])

    groups = [list(group) for _, group in groupby(sorted(range(len(ablations)), key=alike), key=alike)]
    return [group[first : first + together] for group in groups for first in range(0, len(group), together)]


def _rerun(
    architecture: Architecture, clean: _CleanBatch, ablations: Sequence[Ablation], means: Mapping[int, torch.Tensor]
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """One pass over a batch, with ablations that all start in the same layer.

    Returns:
        Activations (ablations, rows, N) of the last MLP; inputs (ablations, rows, d) of the final norm; and boolean
        (ablations, rows), whether a replaced head's output moved at the row or before.
    """
    start = ablations[0].lowest_layer
    residual = clean.residual[start]
    moved = torch.zeros(len(ablations), *residual.shape[:2], dtype=torch.bool, device=residual.device)
    last_mlp = architecture.mlp_output(architecture.n_layers - 1)
    modules = {"mlp": last_mlp, "x": architecture.final_norm_module}
    heads = clean.heads[start].repeat(len(ablations), 1, 1)
    with (
        attention_given(architecture, start, heads),
        heads_replaced(architecture, ablations, means, moved),
        Recorder(modules) as recorder,
    ):
        run_from(architecture, start, residual.repeat(len(ablations), 1, 1))
    after = {name: values.unflatten(0, moved.shape[:2])[:, *clean.batch.at] for name, values in recorder.inputs.items()}
    at_rows = moved[:, *clean.batch.at]
    reaches = at_rows[..., None] & (start in reachable_layers(architecture))
    return torch.where(reaches, after["mlp"], clean.activation), after["x"], at_rows


def _with_clean_neurons(
    layer: LastLayer, residual: torch.Tensor, activation: torch.Tensor, clean: torch.Tensor, members: torch.Tensor
) -> torch.Tensor:
    """Inputs (ablations, rows, d) of the final norm, if some neurons had kept their clean values."""
    output = activation @ layer.output_weight
    moved = (activation[..., members] - clean[:, members]) @ layer.output_weight[members]
    return residual - layer.added_to_residual(output) + layer.added_to_residual(output - moved)


class _Sums:
    """Effects by document and condition, added up pass by pass."""

    def __init__(
        self,
        n_ablations: int,
        n_neurons: int,
        masks: np.ndarray,
        document: np.ndarray,
        weights: Mapping[str, np.ndarray],
        held: Sequence[str],
    ) -> None:
        _, place = np.unique(document, return_inverse=True)
        self.belongs = masks[:, None] & (place == np.arange(place.max() + 1)[:, None])  # (C, D, T)
        self.weights = weights
        self.by_neuron = np.zeros((n_ablations, len(masks), n_neurons))
        shape = (n_ablations, *self.belongs.shape[:2])
        self.by_document = {name: np.zeros(shape) for name in (*weights, "delta_loss", "abs_delta_loss")}
        self.by_document |= {f"held.{name}": np.full(shape, np.nan) for name in held}

    def add(
        self, chosen: Sequence[int], mine: np.ndarray, change: torch.Tensor, losses: Mapping[str, torch.Tensor]
    ) -> None:
        """Add a pass, with changes (ablations, rows, N) of the neurons and (ablations, rows) of the losses."""
        belongs = self.belongs[..., mine].astype(np.float64)
        changes = change.cpu().double().numpy()
        self.by_neuron[chosen] += belongs.sum(1) @ changes
        values = {name: changes @ weights for name, weights in self.weights.items()}
        values |= {name: loss.cpu().double().numpy() for name, loss in losses.items()}
        values["abs_delta_loss"] = np.abs(values["delta_loss"])
        for name, value in values.items():
            total = self.by_document[name]
            total[chosen] = np.nan_to_num(total[chosen]) + np.tensordot(value, belongs, axes=(1, 2))

    def effects(self, ablations: list[Ablation], varies: np.ndarray) -> Effects:
        """The effects over all passes."""
        by_neuron = self.by_neuron / self.belongs.sum((1, 2))[:, None]
        return Effects(ablations, varies, by_neuron, self.by_document, self.belongs)
