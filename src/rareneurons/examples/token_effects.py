"""Effect of a neuron on each target token: which tokens does it help?"""

import numpy as np
import pandas as pd


def effects_by_target(delta_loss: np.ndarray, target: np.ndarray, document: np.ndarray) -> pd.DataFrame:
    """Mean effect of each neuron on the rows of each target token.

    Args:
        delta_loss: (T, n) change of loss when the neuron is ablated, nats.
        target: (T,) token ids.
        document: (T,) document of each row.

    Returns:
        One row per column of ``delta_loss`` (``neuron``, a place 0, 1, ...) and ``target``: ``n_rows``,
        ``n_documents``, ``mean_delta_loss`` and ``se_delta_loss``, its standard error clustered by document
        (:func:`influence.sums.clustered_mean`), NaN where all rows are of one document.
    """
    pairs, codes = np.unique(np.column_stack([target, document]).astype(np.int64), axis=0, return_inverse=True)
    targets, of_target = np.unique(pairs[:, 0], return_inverse=True)
    rows_of_pair = np.bincount(codes, minlength=len(pairs))
    n_rows = np.bincount(of_target, rows_of_pair).astype(np.int64)
    n_documents = np.bincount(of_target)
    sums = _added(delta_loss, codes, len(pairs))
    mean = _added(sums, of_target, len(targets)) / n_rows[:, None]
    deviation = sums - rows_of_pair[:, None] * mean[of_target]
    with np.errstate(divide="ignore", invalid="ignore"):
        correction = np.where(n_documents > 1, n_documents / (n_documents - 1), np.nan)[:, None]
    error = np.sqrt(correction * _added(np.square(deviation), of_target, len(targets))) / n_rows[:, None]
    n_neurons = delta_loss.shape[1]
    return pd.DataFrame(
        {
            "neuron": np.repeat(np.arange(n_neurons), len(targets)),
            "target": np.tile(targets, n_neurons),
            "n_rows": np.tile(n_rows, n_neurons),
            "n_documents": np.tile(n_documents, n_neurons),
            "mean_delta_loss": mean.T.ravel(),
            "se_delta_loss": error.T.ravel(),
        }
    )


def _added(values: np.ndarray, place: np.ndarray, n_places: int) -> np.ndarray:
    """Sums (n_places, n) of the rows of ``values`` that have the same place."""
    total = np.zeros((n_places, values.shape[1]))
    np.add.at(total, place, values)
    return total
