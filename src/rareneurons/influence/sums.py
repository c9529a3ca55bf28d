"""Effects added up by document, with their means and clustered standard errors."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from rareneurons.tables import INFLUENCE_COLUMNS, CheckpointName


@dataclass(frozen=True)
class InfluenceSums:
    """Sums of effects by document, for means, clustered errors and bootstraps.

    ``signed`` and ``absolute`` float64 (documents, N): sums of dL and of |dL| over a document's rows, in nats.
    ``n_rows`` int64 (documents,). ``document`` int64 (documents,): ids of the documents.
    """

    document: np.ndarray
    n_rows: np.ndarray
    signed: np.ndarray
    absolute: np.ndarray

    def in_blocks(self, documents: np.ndarray, most: int) -> "InfluenceSums":
        """The same sums with documents merged into at most ``most`` blocks, ids 0, 1, ...

        A block takes every ``most``-th document of ``documents``, so blocks are similar. Resampling blocks resamples
        whole documents. The blocks of two conditions contain the same documents if ``documents`` is the same.

        Args:
            documents: sorted ids of all documents, including those without a row here.
            most: largest number of blocks.
        """
        block = np.searchsorted(documents, self.document) % most
        n_blocks = min(most, len(documents))

        def merged(values: np.ndarray) -> np.ndarray:
            total = np.zeros((n_blocks, *values.shape[1:]), dtype=values.dtype)
            np.add.at(total, block, values)
            return total

        return InfluenceSums(np.arange(n_blocks), merged(self.n_rows), merged(self.signed), merged(self.absolute))


def clustered_mean(sums: np.ndarray, n_rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean over rows and its standard error clustered by document.

    The error is that of a ratio of document sums, ``sqrt(D / (D - 1) sum_d (S_d - n_d mean)^2) / sum_d n_d``.

    Args:
        sums: (documents, N) sums over each document's rows.
        n_rows: (documents,) rows of each document.

    Returns:
        Mean (N,) and standard error (N,), in the unit of ``sums``. The error is NaN for a single document.
    """
    total = n_rows.sum()
    mean = sums.sum(0) / total
    n_documents = len(n_rows)
    if n_documents < 2:
        return mean, np.full_like(mean, np.nan)
    deviation = sums - n_rows[:, None] * mean
    return mean, np.sqrt(n_documents / (n_documents - 1) * np.square(deviation).sum(0)) / total


def influence_frame(
    checkpoint: CheckpointName, layer: int, sums: Mapping[str, InfluenceSums], neurons: np.ndarray | None = None
) -> pd.DataFrame:
    """The influence table, one row per neuron, condition and split (``INFLUENCE_COLUMNS``).

    Args:
        checkpoint: name of the checkpoint.
        layer: the neurons' layer.
        sums: ``<condition>/<split>`` -> sums by document.
        neurons: (N,) indices of the neurons. Without it, all neurons of the layer, 0, 1, ...
    """
    parts = []
    for name, found in sums.items():
        condition, split = name.split("/")
        mean, error = clustered_mean(found.signed, found.n_rows)
        mean_abs, error_abs = clustered_mean(found.absolute, found.n_rows)
        part = pd.DataFrame(
            {
                "layer": layer,
                "neuron": np.arange(len(mean)) if neurons is None else neurons,
                "condition": condition,
                "split": split,
                "n_rows": int(found.n_rows.sum()),
                "n_documents": len(found.n_rows),
                "mean_delta_loss": mean,
                "mean_abs_delta_loss": mean_abs,
                "se_delta_loss": error,
                "se_abs_delta_loss": error_abs,
            }
        )
        parts.append(part)
    return checkpoint.labelled(pd.concat(parts, ignore_index=True))[INFLUENCE_COLUMNS]


def with_experts(table: pd.DataFrame, expert: np.ndarray | None) -> pd.DataFrame:
    """An influence table of one layer with the column ``expert`` in a mixture of experts, else unchanged.

    Args:
        table: has the column ``neuron``.
        expert: int64 (neurons of the layer,), the expert of each; None in models without experts.
    """
    return table if expert is None else table.assign(expert=expert[table["neuron"]])


FIELDS = ("document", "n_rows", "signed", "absolute")


def blocked_arrays(sums: Mapping[str, InfluenceSums], most: int) -> dict[str, np.ndarray]:
    """Sums over at most ``most`` blocks of documents as named arrays ``<condition>/<split>/<field>``.

    All conditions of a split have the same blocks, so one draw of blocks is valid for all of them.
    """
    arrays: dict[str, np.ndarray] = {}
    for split in dict.fromkeys(name.split("/")[1] for name in sums):
        of_split = {name: found for name, found in sums.items() if name.endswith(f"/{split}")}
        documents = np.unique(np.concatenate([found.document for found in of_split.values()]))
        for name, found in of_split.items():
            merged = found.in_blocks(documents, most)
            arrays |= {f"{name}/{field}": getattr(merged, field) for field in FIELDS}
    return arrays


def sums_of_arrays(arrays: Mapping[str, np.ndarray]) -> dict[str, InfluenceSums]:
    """Inverse of :func:`blocked_arrays`."""
    names = sorted({name.rsplit("/", 1)[0] for name in arrays})
    return {name: InfluenceSums(*(arrays[f"{name}/{field}"] for field in FIELDS)) for name in names}
