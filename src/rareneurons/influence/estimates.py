"""Influence of a checkpoint's last MLP: the table, its sums by document, and the same under shuffled labels."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from rareneurons.influence.closed_form import Effect
from rareneurons.influence.label_shuffles import EffectsAtRows, LabelShuffles, label_shuffles
from rareneurons.influence.last_mlp import influence_by_document, reference_values
from rareneurons.influence.sums import InfluenceSums, influence_frame, with_experts
from rareneurons.influence.tiles import DeltaLoss, PairCounts
from rareneurons.models.last_layer import LastLayer
from rareneurons.rows import condition_split_masks, labels_of
from rareneurons.tables import CheckpointName


@dataclass(frozen=True)
class InfluenceSettings:
    """How the influence is computed; ``influence`` in the configuration explains the keys.

    ``shuffles``: exchanges of the labels (``groups.shuffles``); ``device``: where the arithmetic runs.
    """

    reference: str = "mean"
    effect: Effect = "total"
    tolerance: float = 1e-5
    memory_gib: float = 4.0
    shuffles: int = 200
    device: str = "cpu"


@dataclass(frozen=True)
class CheckpointInfluence:
    """Influence of all neurons of the last MLP.

    ``table``: ``INFLUENCE_COLUMNS``; ``by_document``: ``<condition>/<split>`` -> sums by document; ``shuffles``: the
    same under shuffled labels, on discovery rows; ``pairs``: how many pairs were computed by each method;
    ``reference``: (N,) or (T, N), what ablation puts in place of the activations.
    """

    table: pd.DataFrame
    by_document: Mapping[str, InfluenceSums]
    shuffles: LabelShuffles
    pairs: PairCounts
    reference: np.ndarray


def checkpoint_influence(
    checkpoint: CheckpointName,
    layer: LastLayer,
    trace: Mapping[str, np.ndarray],
    rows: pd.DataFrame,
    pair: tuple[str, str],
    settings: InfluenceSettings,
    rng: np.random.Generator,
    shuffling: np.random.Generator,
    done: Callable[[DeltaLoss], object] = lambda tile: None,
) -> CheckpointInfluence:
    """Effect of ablating every neuron of the last MLP, per condition and split.

    Args:
        checkpoint: its name.
        layer: the model's last layer.
        trace: the arrays of :class:`Trace` by name.
        rows: T rows, as the rows stage writes them.
        pair: the two conditions whose labels are exchanged.
        settings: how it is computed.
        rng: draws the rows of the reference ``resample``.
        shuffling: exchanges labels.
        done: receives each tile that is done, T x N pairs in all.

    Raises:
        CheckpointError: an effect is NaN or infinite.
        ConfigurationError: the direct effect of a layer without a closed form.
    """
    document, labels = rows["document"].to_numpy(), labels_of(rows, pair)
    chosen_on = labels.any(1) & (rows["split"] == "discovery").to_numpy()
    at_rows = EffectsAtRows(chosen_on, trace["activation"].shape[1])
    reference = reference_values(trace, settings.reference, document, rng)

    def tile_done(tile: DeltaLoss) -> None:
        at_rows.add(tile)
        done(tile)

    by_document, pairs = influence_by_document(
        layer.to(settings.device, torch.float32),
        trace,
        reference,
        rows["target"].to_numpy(),
        document,
        condition_split_masks(rows),
        tile_done,
        effect=settings.effect,
        tolerance=settings.tolerance,
        memory_bytes=int(settings.memory_gib * 2**30),
    )
    table = with_experts(influence_frame(checkpoint, int(trace["layer"][0]), by_document), layer.expert)
    shuffles = label_shuffles(at_rows.values, document[chosen_on], labels[chosen_on], settings.shuffles, shuffling)
    return CheckpointInfluence(table, by_document, shuffles, pairs, reference)
