"""Spectra of weights: Hill exponent of a group's weight rows, and WeightWatcher on every matrix of a checkpoint."""

import logging
from collections.abc import Mapping, Sequence
from types import ModuleType

import numpy as np
import pandas as pd

from rareneurons.stats import against_controls
from rareneurons.tables import Estimate

TAIL_SHARE = 0.1  # the paper's k = 0.1 n
WEIGHTWATCHER_COLUMNS = [
    "longname",
    "N",
    "M",
    "alpha",
    "log_alpha_norm",
    "stable_rank",
    "num_pl_spikes",
    "status",
]


def correlation_eigenvalues(weights: np.ndarray) -> np.ndarray:
    """Eigenvalues, largest first, of the correlations between neurons over the residual dimensions.

    Args:
        weights: (n, d), one row a neuron.

    Returns:
        (n,) eigenvalues; they sum to n. NaN where a row is constant.
    """
    centred = weights.astype(np.float64) - weights.mean(1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        standard = centred / centred.std(1, keepdims=True)
    if not np.isfinite(standard).all():
        return np.full(len(weights), np.nan)
    return np.clip(np.linalg.eigvalsh(standard @ standard.T / weights.shape[1])[::-1], 0, None)


def hill_exponent(eigenvalues: np.ndarray, tail_share: float = TAIL_SHARE) -> float:
    """The paper's tail exponent, ``[mean_{i<=k} ln(l_i / l_{k+1})]^-1`` with ``k = tail_share * n``, at least 1.

    Smaller is heavier-tailed. The paper (section 6) leaves out the "+1" that would make it a density's exponent.

    Args:
        eigenvalues: (n,) largest first.
        tail_share: share of eigenvalues in the tail.

    Returns:
        The exponent; NaN for fewer than two eigenvalues, or where the tail is flat or holds a zero.
    """
    n = len(eigenvalues)
    if n < 2 or not np.isfinite(eigenvalues).all():
        return float("nan")
    k = min(max(1, int(tail_share * n)), n - 1)
    if eigenvalues[k] <= 0:
        return float("nan")
    mean_log = float(np.mean(np.log(eigenvalues[:k] / eigenvalues[k])))
    return 1 / mean_log if mean_log > 0 else float("nan")


def group_spectrum(
    weights: Mapping[str, np.ndarray], members: np.ndarray, controls: Sequence[np.ndarray]
) -> list[Estimate]:
    """Hill exponent of a group's rows of each weight matrix, with an empirical p against control groups of its size.

    Args:
        weights: name of the matrix (``w_out``, ``w_in``, ...) -> (N, d), one row a neuron.
        members: neuron indices of the group.
        controls: neuron indices of each control group.

    Returns:
        ``hill.<matrix>`` and ``hill.<matrix>.null_mean`` a matrix; ``n`` is the group's size.
    """
    estimates = []
    for name, matrix in weights.items():
        value = hill_exponent(correlation_eigenvalues(matrix[members]))
        null = [hill_exponent(correlation_eigenvalues(matrix[c])) for c in controls]
        estimate = Estimate(f"hill.{name}", value, "exponent", len(members))
        estimates += against_controls(estimate, [], null, "less")
    return estimates


def neuron_weights(last_layer: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Weights of the last MLP's neurons by matrix (``w_out``, ``w_in``, ...), each (N, d), one row a neuron.

    Args:
        last_layer: arrays as :meth:`LastLayer.arrays` names them.
    """
    inputs = {name.removeprefix("input/"): weight for name, weight in last_layer.items() if name.startswith("input/")}
    return {"w_out": last_layer["output_weight"]} | inputs


def weightwatcher_table(weights: Mapping[str, "np.ndarray"]) -> pd.DataFrame:
    """WeightWatcher's alpha, log alpha norm, stable rank and tail size of every matrix.

    WeightWatcher passes over matrices it finds too small or fails on; they are kept here with NaN and its status.

    Args:
        weights: parameter name -> (rows, columns) float array.

    Returns:
        ``matrix`` (the parameter's name), ``rows``, ``columns``, ``alpha``, ``log_alpha_norm``, ``stable_rank``,
        ``num_pl_spikes``, ``status`` (``success``, ``not analysed``, or WeightWatcher's word).
    """
    import torch

    weightwatcher = _import_quietly()
    state = {name: torch.from_numpy(np.ascontiguousarray(matrix)) for name, matrix in weights.items()}
    largest = max(max(matrix.shape) for matrix in weights.values())
    watcher = weightwatcher.WeightWatcher(model=state)
    found = watcher.analyze(max_N=largest + 1, max_evals=largest + 1, plot=False)
    table = pd.DataFrame(
        {
            "matrix": list(weights),
            "rows": [matrix.shape[0] for matrix in weights.values()],
            "columns": [matrix.shape[1] for matrix in weights.values()],
        }
    )
    values = found.reindex(columns=WEIGHTWATCHER_COLUMNS[3:]).assign(
        matrix=found["longname"].map(lambda name: _parameter_of(str(name), weights))
    )
    table = table.merge(values, on="matrix", how="left")
    table["status"] = table["status"].fillna("not analysed")
    failed = table["status"] != "success"
    table.loc[failed, ["alpha", "log_alpha_norm"]] = np.nan
    return table


def _parameter_of(longname: str, weights: Mapping[str, np.ndarray]) -> str:
    return longname if longname in weights else f"{longname}.weight"


def _import_quietly() -> ModuleType:
    """WeightWatcher without what its import does to the root logger."""
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    import weightwatcher

    root.setLevel(level)
    root.handlers[:] = handlers
    logging.getLogger("weightwatcher").setLevel(logging.ERROR)
    return weightwatcher
