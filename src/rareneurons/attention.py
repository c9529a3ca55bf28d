"""Does attention route to a group of neurons? Effect of ablating one head on the group's activations."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import nn

from rareneurons.models.architectures import Architecture
from rareneurons.rows import in_condition
from rareneurons.stats import against_controls, document_weights
from rareneurons.tables import Estimate
from rareneurons.tokens import Blocks
from rareneurons.trace import Recorder, batches_of_blocks

WHOLE_MODEL = -1  # stands in the columns layer and head for a number about all heads


@dataclass(frozen=True)
class HeadEffects:
    """Standardised effect ``|a_ablated - a| / sd(a)`` of each head that can reach the last MLP.

    ``layer`` and ``head`` int (H,). ``by_neuron``: condition -> float64 (H, N), mean over the condition's rows.
    ``by_row``: group -> float64 (H, T), mean over the group's neurons. Unit: standard deviations of the neuron.
    """

    layer: np.ndarray
    head: np.ndarray
    by_neuron: dict[str, np.ndarray]
    by_row: dict[str, np.ndarray]


def reachable_layers(architecture: Architecture) -> range:
    """Layers whose heads can change the last MLP: all, less the last where attention and MLP run in parallel."""
    return range(architecture.n_layers - int(architecture.parallel_blocks))


@contextmanager
def head_held(output_projection: nn.Module, columns: slice, values: torch.Tensor) -> Iterator[None]:
    """While active, the head whose output fills ``columns`` of the projection's input gives ``values`` (width,)."""

    def hold(_module: nn.Module, inputs: tuple) -> tuple:
        held = inputs[0].clone()
        held[..., columns] = values
        return (held, *inputs[1:])

    handle = output_projection.register_forward_pre_hook(hold)
    try:
        yield
    finally:
        handle.remove()


class _RowReader:
    """Runs blocks through a model and reads module inputs at the rows."""

    def __init__(self, architecture: Architecture, blocks: Blocks, rows: pd.DataFrame) -> None:
        self.architecture, self.blocks = architecture, blocks
        self.block, self.position = rows["block"].to_numpy(), rows["position"].to_numpy()
        self.device = architecture.unembedding.device

    def rows_of(self, batch: np.ndarray) -> np.ndarray:
        """Row indices in a batch of blocks."""
        return np.flatnonzero(np.isin(self.block, batch))

    def read(self, batch: np.ndarray, modules: dict[str, nn.Module]) -> dict[str, torch.Tensor]:
        """Inputs (rows in the batch, width) of the modules."""
        longest = int(self.blocks.length[batch].max())
        tokens = torch.from_numpy(self.blocks.tokens[batch, :longest].astype(np.int64)).to(self.device)
        with Recorder(modules) as recorder:
            self.architecture.base(input_ids=tokens, use_cache=False)
        mine = self.rows_of(batch)
        place = torch.from_numpy(np.searchsorted(batch, self.block[mine])).to(self.device)
        position = torch.from_numpy(self.position[mine]).to(self.device)
        return {name: values[place, position] for name, values in recorder.inputs.items()}


@torch.inference_mode()
def mean_ablate_heads(
    architecture: Architecture,
    blocks: Blocks,
    rows: pd.DataFrame,
    conditions: Mapping[str, np.ndarray],
    groups: Mapping[str, np.ndarray],
    batch_size: int,
    progress: Callable[[Iterable[np.ndarray]], Iterable[np.ndarray]] = iter,
) -> HeadEffects:
    """Replace one head's output by its mean over the rows, at all positions, and run the model again.

    Args:
        architecture: an open checkpoint.
        blocks: evaluation blocks.
        rows: T rows, in block and position order (columns ``block``, ``position``).
        conditions: name -> boolean (T,).
        groups: name -> neuron indices.
        batch_size: blocks a forward pass.
        progress: wraps the loop over batches.

    Returns:
        Effects of every head that can reach the last MLP. Costs one pass over the blocks plus one a head.
    """
    layers = reachable_layers(architecture)
    last_mlp = {"mlp": architecture.mlp_output(architecture.n_layers - 1)}
    reader = _RowReader(architecture, blocks, rows)
    batches = batches_of_blocks(np.unique(reader.block), batch_size)
    outputs = {str(layer): architecture.attention_output(layer) for layer in layers}
    clean, sums = [], dict.fromkeys(outputs, torch.zeros(()))
    for batch in batches:
        read = reader.read(batch, outputs | last_mlp)
        clean.append(read["mlp"])
        sums = {name: sums[name] + read[name].sum(0) for name in outputs}
    deviation = torch.cat(clean).std(0).clamp_min(torch.finfo(torch.float32).tiny)
    heads = [(layer, head) for layer in layers for head in range(architecture.n_heads)]
    n_neurons = len(deviation)
    by_neuron = {name: np.zeros((len(heads), n_neurons)) for name in conditions}
    by_row = {name: np.zeros((len(heads), len(rows))) for name in groups}
    for batch, before in zip(progress(batches), clean, strict=True):
        mine = reader.rows_of(batch)
        for number, (layer, head) in enumerate(heads):
            mean = sums[str(layer)] / len(rows)
            width = len(mean) // architecture.n_heads
            columns = slice(head * width, (head + 1) * width)
            with head_held(outputs[str(layer)], columns, mean[columns]):
                after = reader.read(batch, last_mlp)["mlp"]
            change = ((after - before).abs() / deviation).double().cpu().numpy()
            for name, mask in conditions.items():
                by_neuron[name][number] += change[mask[mine]].sum(0)
            for name, members in groups.items():
                by_row[name][number, mine] = change[:, members].mean(1)
    return HeadEffects(
        np.asarray([layer for layer, _ in heads], dtype=int),
        np.asarray([head for _, head in heads], dtype=int),
        {name: sums / conditions[name].sum() for name, sums in by_neuron.items()},
        by_row,
    )


def gini(values: np.ndarray) -> float:
    """Gini coefficient of non-negative values: 0 when all are equal, near 1 when one holds all; NaN if all are 0."""
    ordered = np.sort(values)
    n = len(ordered)
    if n == 0 or ordered.sum() == 0:
        return float("nan")
    return float((2 * np.arange(1, n + 1) - n - 1) @ ordered / (n * ordered.sum()))


def group_attention(
    effects: HeadEffects,
    condition: str,
    group: str,
    mask: np.ndarray,
    document: np.ndarray,
    controls: Sequence[np.ndarray],
    n_draws: int,
    rng: np.random.Generator,
) -> list[tuple[int, int, Estimate]]:
    """Effect of each head on one group in one condition, and how concentrated it is over heads.

    Args:
        effects: as :func:`mean_ablate_heads` returns them, for T rows.
        condition: name of the condition.
        group: name of the group.
        mask: boolean (T,), rows of the condition.
        document: (T,) document id of each row.
        controls: neuron indices of each control group.
        n_draws: bootstrap draws.
        rng: draws the documents.

    Returns:
        (layer, head, estimate) triples: ``head_effect`` a head (standard deviations, mean over rows and neurons),
        ``gini`` over all reachable heads, each with its ``.null_mean``. ``n`` is the number of rows.
    """
    by_neuron = effects.by_neuron[condition]
    by_row = effects.by_row[group][:, mask]
    _, place = np.unique(document[mask], return_inverse=True)
    n_documents = int(place.max()) + 1
    per_document = np.stack([np.bincount(place, weights=row, minlength=n_documents) for row in by_row])
    rows_per_document = np.bincount(place, minlength=n_documents)
    weights = document_weights(n_documents, n_draws, rng)
    draws = (weights @ per_document.T) / (weights @ rows_per_document)[:, None]  # (draws, H)
    null = np.stack([by_neuron[:, control].mean(1) for control in controls])  # (controls, H)
    value = by_row.mean(1)
    n_rows = int(mask.sum())
    found = []
    for number, (layer, head) in enumerate(zip(effects.layer, effects.head, strict=True)):
        estimate = Estimate("head_effect", float(value[number]), "standard deviations", n_rows)
        for completed in against_controls(estimate, draws[:, number].tolist(), null[:, number].tolist(), "greater"):
            found.append((int(layer), int(head), completed))
    concentration = Estimate("gini", gini(value), "Gini coefficient", n_rows)
    for completed in against_controls(
        concentration, [gini(draw) for draw in draws], [gini(control) for control in null], "two-sided"
    ):
        found.append((WHOLE_MODEL, WHOLE_MODEL, completed))
    return found


def structurally_zero(architecture: Architecture) -> list[tuple[int, int]]:
    """(layer, head) of the heads that cannot reach the last MLP by construction."""
    layers = set(range(architecture.n_layers)) - set(reachable_layers(architecture))
    return [(layer, head) for layer in sorted(layers) for head in range(architecture.n_heads)]


def unreachable_estimates(heads: Iterable[tuple[int, int]]) -> list[tuple[int, int, Estimate]]:
    """Entries for heads that cannot reach the neurons: a zero that was not measured, so ``n`` is 0."""
    return [(layer, head, Estimate("structurally_zero", 0.0, "standard deviations", 0)) for layer, head in heads]


def attention_estimates(
    architecture: Architecture,
    blocks: Blocks,
    rows: pd.DataFrame,
    conditions: Sequence[str],
    groups: Mapping[str, tuple[np.ndarray, list[np.ndarray]]],
    batch_size: int,
    n_draws: int,
    rng: np.random.Generator,
    progress: Callable[[Iterable[np.ndarray]], Iterable[np.ndarray]] = iter,
) -> list[tuple[str, str, int, int, Estimate]]:
    """Head effects of all groups and conditions.

    Args:
        architecture: an open checkpoint.
        blocks: evaluation blocks.
        rows: held-out rows.
        conditions: which conditions.
        groups: name -> (neurons, controls of the same size).
        batch_size: blocks a forward pass.
        n_draws: bootstrap draws.
        rng: draws the documents.
        progress: wraps the loop over batches.

    Returns:
        (condition, group, layer, head, estimate); heads that cannot reach the neurons are listed as such.
    """
    masks = {name: in_condition(rows, name) for name in conditions}
    members = {name: neurons for name, (neurons, _) in groups.items()}
    effects = mean_ablate_heads(architecture, blocks, rows, masks, members, batch_size, progress)
    unreachable = unreachable_estimates(structurally_zero(architecture))
    document = rows["document"].to_numpy()
    return [
        (condition, group, *entry)
        for condition, mask in masks.items()
        for group, (_, controls) in groups.items()
        for entry in [*group_attention(effects, condition, group, mask, document, controls, n_draws, rng), *unreachable]
    ]
