"""Influence of neurons of any layer: screening by first-order scores, exact re-runs, and a bound on the miss rate.

Neurons are chosen on discovery rows, with one choice per layer for all conditions. They are described on the rows of
both splits.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from rareneurons.conventions import layers_asked_for
from rareneurons.errors import LEAVE_OUT, CheckpointError, ConfigurationError, CorpusError
from rareneurons.influence.rerun import rerun_delta_loss
from rareneurons.influence.screening import attribution_scores, candidates_and_sample, screening_estimates
from rareneurons.influence.sums import influence_frame, with_experts
from rareneurons.influence.tiles import DeltaLoss, PairCounts, sum_by_document
from rareneurons.models.architectures import Architecture
from rareneurons.rows import SPLITS, condition_names, in_condition, rows_of_documents
from rareneurons.tables import CheckpointName, measure_frame
from rareneurons.tokens import Blocks
from rareneurons.trace import mean_activations

DISCOVERY, HELDOUT = SPLITS


@dataclass(frozen=True)
class OtherLayersSettings:
    """Keys of ``other_layers`` in the configuration, where each is explained."""

    candidates: int
    sample: int
    top: int
    documents: int
    batch_size: int
    neurons_per_pass: int


@dataclass(frozen=True)
class _Chosen:
    """Neurons of one layer: the candidates, best first, then the sampled others."""

    neurons: np.ndarray
    role: np.ndarray


def influence_of_layers(
    architecture: Architecture,
    checkpoint: CheckpointName,
    blocks: Blocks,
    rows: pd.DataFrame,
    asked: Sequence[int] | str,
    reference: str,
    settings: OtherLayersSettings,
    rng: np.random.Generator,
    progress: Callable[[str], Callable[[Iterable], Iterable]] = lambda what: iter,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Exact effects of the candidates and of a random sample of the other neurons, and a bound on the miss rate.

    Args:
        architecture: an open checkpoint in float64. In float32, effects below 1e-5 nats are rounding errors (see
            ``rerun``).
        checkpoint: its name.
        blocks: evaluation blocks.
        rows: all selected rows, both splits.
        asked: layer indices, or ``all`` for every layer below the last.
        reference: ``mean`` over the evaluated positions of the documents used here, or ``zero``.
        settings: number of neurons and documents, and batch sizes.
        rng: draws the documents and the samples.
        progress: takes a description, and returns a function that wraps a loop over batches.

    Returns:
        Influence, one row per neuron, condition and split: ``INFLUENCE_COLUMNS`` plus ``role`` (``candidate`` or
        ``sample``), ``first_order_delta_loss`` (nats) and, in a mixture of experts, ``expert``. Screening,
        ``MEASURE_COLUMNS`` plus ``layer``.

    Raises:
        ConfigurationError: the model lacks a layer, or a layer has fewer neurons than ``settings.top``.
        CorpusError: a condition has no row in the documents of a split.
        CheckpointError: activations, scores or effects are NaN or infinite.
    """
    layers = layers_asked_for(asked, architecture.n_layers, checkpoint.model)
    rows = _rows_of_both_splits(rows, settings.documents, rng)
    masks = {f"{name}/{split}": in_condition(rows, name, split) for name in condition_names(rows) for split in SPLITS}
    _refuse_empty(masks, settings.documents)
    means = mean_activations(architecture, blocks, rows, layers, settings.batch_size, progress("means"))
    for layer, mean in means.items():
        _refuse_non_finite(checkpoint, layer, "mean activations", mean)
        _refuse_small(checkpoint, layer, len(mean), settings.top)
    references = means if reference == "mean" else {layer: np.zeros_like(mean) for layer, mean in means.items()}
    scores = {
        name: attribution_scores(
            architecture, blocks, rows[mask], references, settings.batch_size, progress(f"scores, {name},")
        )
        for name, mask in masks.items()
    }
    influence, screening = [], []
    for number, layer in enumerate(layers, start=1):
        of_layer = {name: found[layer] for name, found in scores.items()}
        _refuse_non_finite(checkpoint, layer, "first-order scores", np.stack(list(of_layer.values())))
        chosen = _choose(of_layer, settings, rng)
        effects = rerun_delta_loss(
            architecture,
            blocks,
            rows,
            layer,
            chosen.neurons.tolist(),
            references[layer],
            settings.batch_size,
            settings.neurons_per_pass,
            progress(f"layer {layer} ({number} of {len(layers)})"),
        )
        _refuse_non_finite(checkpoint, layer, "effects", effects)
        table = _influence_table(checkpoint, layer, chosen, of_layer, effects, rows["document"].to_numpy(), masks)
        influence.append(with_experts(table, architecture.expert_of_neuron(layer)))
        screening.append(_screening_table(checkpoint, layer, table, condition_names(rows), settings.top))
    return pd.concat(influence, ignore_index=True), pd.concat(screening, ignore_index=True)


def _rows_of_both_splits(rows: pd.DataFrame, documents: int, rng: np.random.Generator) -> pd.DataFrame:
    """Rows of at most ``documents`` documents of each split, in the same order, numbered from 0."""
    kept = pd.concat([rows_of_documents(rows, split, documents, rng) for split in SPLITS])
    return kept.sort_values(["block", "position"]).reset_index(drop=True)


def _refuse_empty(masks: Mapping[str, np.ndarray], documents: int) -> None:
    for name, mask in masks.items():
        if not mask.any():
            condition, split = name.split("/")
            raise CorpusError(
                f"other_layers.documents: {documents} documents of the {split} split hold no row of condition "
                f"{condition!r}; expected at least one row. Raise other_layers.documents"
            )


def _refuse_small(checkpoint: CheckpointName, layer: int, n_neurons: int, top: int) -> None:
    if n_neurons < top:
        raise ConfigurationError(
            f"other_layers.top: found {top}, but layer {layer} of {checkpoint.model} has {n_neurons} neurons; "
            f"expected at most {n_neurons}"
        )


def _refuse_non_finite(checkpoint: CheckpointName, layer: int, what: str, values: np.ndarray) -> None:
    bad = int((~np.isfinite(values)).sum())
    if bad:
        raise CheckpointError(
            f"{checkpoint.model}/{checkpoint.checkpoint}, layer {layer}: {bad} of {values.size} {what} are NaN or "
            f"infinite; nothing is written. {LEAVE_OUT}"
        )


def _choose(scores: Mapping[str, np.ndarray], settings: OtherLayersSettings, rng: np.random.Generator) -> _Chosen:
    """Candidates and sample of one layer from its scores by ``<condition>/<split>``.

    A neuron is ranked by its best rank over the conditions, so that each condition gets its share of candidates,
    whatever the size of its effects.
    """
    discovery = np.stack([np.abs(score) for name, score in scores.items() if name.endswith(f"/{DISCOVERY}")])
    rank = 1 + np.argsort(np.argsort(-discovery, axis=1, kind="stable"), axis=1)
    candidates, sample = candidates_and_sample(1 / rank.min(0), settings.candidates, settings.sample, rng)
    return _Chosen(
        np.concatenate([candidates, sample]), np.repeat(["candidate", "sample"], [len(candidates), len(sample)])
    )


def _influence_table(
    checkpoint: CheckpointName,
    layer: int,
    chosen: _Chosen,
    scores: Mapping[str, np.ndarray],
    effects: np.ndarray,
    document: np.ndarray,
    masks: dict[str, np.ndarray],
) -> pd.DataFrame:
    n_rows, n_neurons = effects.shape
    tile = DeltaLoss(slice(0, n_rows), slice(0, n_neurons), torch.from_numpy(effects), PairCounts(rerun=effects.size))
    sums = sum_by_document([tile], n_neurons, document, masks)
    table = influence_frame(checkpoint, layer, sums, chosen.neurons)
    table["role"] = np.tile(chosen.role, len(sums))
    table["first_order_delta_loss"] = np.concatenate([scores[name][chosen.neurons] for name in sums])
    return table


def _screening_table(
    checkpoint: CheckpointName, layer: int, influence: pd.DataFrame, conditions: Sequence[str], top: int
) -> pd.DataFrame:
    """Miss rate of the screening on held-out rows, for one layer."""
    heldout = influence[influence["split"] == HELDOUT]
    estimates = []
    for condition in conditions:
        mine = heldout[heldout["condition"] == condition]
        exact, first_order = mine["mean_delta_loss"].to_numpy(), mine["first_order_delta_loss"].to_numpy()
        sampled = (mine["role"] == "sample").to_numpy()
        estimates += [(condition, *entry) for entry in screening_estimates(exact, first_order, sampled, top)]
    return measure_frame(checkpoint, estimates).assign(layer=layer)
