"""The data on which a checkpoint's groups are measured, and what a measure returns."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from rareneurons.influence.sums import InfluenceSums
from rareneurons.rows import in_condition
from rareneurons.stats import document_weights
from rareneurons.tables import CheckpointName


def no_rows() -> pd.DataFrame:
    """A row table without rows, for measures that look at weights alone."""
    return pd.DataFrame({"document": np.empty(0, dtype=np.int64), "split": np.empty(0, dtype=object)})


@dataclass(frozen=True)
class Evidence:
    """A checkpoint as its groups of neurons are measured on it; each measure reads some of the fields.

    ``checkpoint``: its name. ``conditions``: the condition that neurons were chosen on (rare), and its contrast
    (common). ``rows``: T rows as the rows stage wrote them. ``activation`` (T, N): activations of the last MLP's
    neurons at these rows. ``last_layer``: arrays of the last layer as :meth:`LastLayer.arrays` names them.
    ``sums``: ``<condition>/<split>`` -> effects of each neuron by block of documents. ``weights``:
    ``<condition>/<split>`` -> how often each document (or block), by rising id, occurs in each bootstrap draw
    (B, documents); they are the same at every checkpoint, so that a draw means the same documents at all of them.
    """

    checkpoint: CheckpointName
    conditions: tuple[str, str]
    rows: pd.DataFrame = field(default_factory=no_rows)
    activation: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))
    last_layer: Mapping[str, np.ndarray] = field(default_factory=dict)
    sums: Mapping[str, InfluenceSums] = field(default_factory=dict)
    weights: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def chosen_on(self) -> str:
        """The condition that neurons were chosen on; numbers of weights, which know no rows, are listed there."""
        return self.conditions[0]

    def at(self, condition: str, split: str) -> tuple[np.ndarray, np.ndarray]:
        """Activations (rows, N) and document ids (rows,) of a condition and split."""
        here = in_condition(self.rows, condition, split)
        return self.activation[here], self.rows["document"].to_numpy()[here]


def with_document_draws(evidence: Evidence, n_draws: int, rng: np.random.Generator) -> Evidence:
    """The evidence with bootstrap draws of the held-out documents of each condition, as its ``weights``."""
    weights = {}
    for condition in evidence.conditions:
        _, document = evidence.at(condition, "heldout")
        weights[f"{condition}/heldout"] = document_weights(len(set(document)), n_draws, rng)
    return replace(evidence, weights=weights)


@dataclass(frozen=True)
class Measured:
    """What a measure returns.

    ``table``: its table (``MEASURE_COLUMNS``); ``draws``: bootstrap draws of its numbers, as ``draws_frame`` makes
    them, for those that trends over training are about; ``products``: whatever else came of it, by name (a Hill plot, a
    table of heads, matrices to draw).
    """

    table: pd.DataFrame
    draws: pd.DataFrame
    products: Mapping[str, pd.DataFrame | Mapping[str, np.ndarray]] = field(default_factory=dict)
