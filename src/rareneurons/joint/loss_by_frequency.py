"""The clean loss of each band of token frequency: tenths of the frequency scale, and the conditions."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from rareneurons.stats import percentile_interval

TENTHS = tuple(f"tenth_{k}" for k in range(1, 11))  # of the types by falling count; tenth_1 holds the most frequent
FREQUENCY_COLUMNS = [
    *("band", "rank_fraction_low", "rank_fraction_high"),
    *("loss", "ci_low", "ci_high", "n", "n_documents", "unit"),
]


@dataclass(frozen=True)
class DocumentMeans:
    """Means over rows, with a document bootstrap that draws the same documents for all of them.

    ``document`` (T,): each row's document, numbered from 0 by rising id; ``weights`` (B, documents): how often each
    occurs in each draw.
    """

    document: np.ndarray
    weights: np.ndarray

    @property
    def n_documents(self) -> int:
        """Number of documents."""
        return self.weights.shape[1]

    def at(self, rows: np.ndarray) -> "DocumentMeans":
        """The same for some of the rows, given by index."""
        return DocumentMeans(self.document[rows], self.weights)

    def of(self, values: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean (G,) of values (T, G) over some rows, given by index, and its draws (B, G); NaN where none is drawn."""
        n_documents = self.n_documents
        sums = np.zeros((n_documents, values.shape[1]))
        np.add.at(sums, self.document[rows], values[rows])
        n_rows = np.bincount(self.document[rows], minlength=n_documents)
        with np.errstate(invalid="ignore", divide="ignore"):
            return sums.sum(0) / n_rows.sum(), (self.weights @ sums) / (self.weights @ n_rows)[:, None]


def rows_of_tenths(rank_fraction: np.ndarray) -> dict[str, np.ndarray]:
    """Row indices of each of the ``TENTHS`` by their target's rank fraction (T,); rows where that is NaN have none."""
    known = np.isfinite(rank_fraction)
    tenth = np.minimum((np.where(known, rank_fraction, 0) * 10).astype(int), 9)
    return {name: np.flatnonzero(known & (tenth == number)) for number, name in enumerate(TENTHS)}


def loss_by_frequency(
    loss: np.ndarray,
    rank_fraction: np.ndarray,
    conditions: Mapping[str, np.ndarray],
    means: DocumentMeans,
) -> pd.DataFrame:
    """Mean clean loss by band, with 95 % intervals over documents.

    Args:
        loss: (T,) clean loss, nats.
        rank_fraction: (T,) of each row's target, NaN for a type without a count.
        conditions: name -> row indices.
        means: over the same rows.

    Returns:
        ``FREQUENCY_COLUMNS``, one row for each tenth of the frequency scale and for each condition. The rank fractions
        are the edges of a tenth, and the smallest and largest of the targets of a condition.
    """
    records = []
    for band, rows in (rows_of_tenths(rank_fraction) | dict(conditions)).items():
        value, draws = means.of(loss[:, None], rows)
        known = rank_fraction[rows][np.isfinite(rank_fraction[rows])]
        edges = (known.min(), known.max()) if len(known) else (np.nan, np.nan)
        if band in TENTHS:
            edges = TENTHS.index(band) / 10, (TENTHS.index(band) + 1) / 10
        n_documents = len(np.unique(means.document[rows]))
        interval = percentile_interval(draws[:, 0])
        records.append((band, *edges, float(value[0]), *interval, len(rows), n_documents, "nats"))
    return pd.DataFrame(records, columns=FREQUENCY_COLUMNS)
