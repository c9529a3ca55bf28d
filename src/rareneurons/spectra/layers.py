"""WeightWatcher on every weight matrix of a checkpoint."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType

import numpy as np
import pandas as pd

from rareneurons.extras import needs_extra

# Of the matrix as it is, and (from ``max_rand_eval`` on) compared with the same matrix with its entries shuffled.
WEIGHTWATCHER_COLUMNS = [
    "alpha",
    "log_alpha_norm",
    "stable_rank",
    "num_pl_spikes",
    "weak_rank_loss",
    "max_rand_eval",
    "ww_softrank",
    "rand_distance",
]
OF_A_FIT = ["alpha", "log_alpha_norm", "num_pl_spikes"]


def weightwatcher_table(weights: Mapping[str, np.ndarray], seed: int) -> pd.DataFrame:
    """WeightWatcher's alpha, log alpha norm, stable rank and tail size of every matrix, and its randomised baseline.

    WeightWatcher leaves out matrices that it finds too small or fails on. Here they are kept, with NaN and the status.
    WeightWatcher's fit of Marchenko and Pastur's law to the shuffled matrix is left out: it takes longer than all the
    rest, and serves only to count the spikes that remain after shuffling.

    Args:
        weights: parameter name -> (rows, columns) float array.
        seed: of the shuffling.

    Returns:
        ``matrix`` (the parameter's name), ``rows``, ``columns``; ``alpha``, ``log_alpha_norm``, ``num_pl_spikes``
        (eigenvalues in the fitted tail), ``stable_rank``, ``weak_rank_loss`` (number of singular values near zero);
        ``max_rand_eval`` (largest eigenvalue after shuffling the entries), ``ww_softrank`` (that over the largest
        eigenvalue before, 1 where the matrix looks random), ``rand_distance`` (Jensen-Shannon distance between the two
        spectra); ``status`` (``success``, ``not analysed``, or what WeightWatcher says).
    """
    import torch

    weightwatcher = _import_quietly()

    class Watcher(weightwatcher.WeightWatcher):  # type: ignore[name-defined]
        def apply_mp_fit(self, *_: object, **__: object) -> None:
            """Skip the fit, since none of its numbers is kept."""

    state = {name: torch.from_numpy(np.ascontiguousarray(matrix)) for name, matrix in weights.items()}
    largest = max(max(matrix.shape) for matrix in weights.values())
    with _global_seed(seed):
        watcher = Watcher(model=state)
        found = watcher.analyze(max_N=largest + 1, max_evals=largest + 1, plot=False, randomize=True)
    table = pd.DataFrame(
        {
            "matrix": list(weights),
            "rows": [matrix.shape[0] for matrix in weights.values()],
            "columns": [matrix.shape[1] for matrix in weights.values()],
        }
    )
    values = found.reindex(columns=["longname", *WEIGHTWATCHER_COLUMNS, "status"])
    values["matrix"] = [_parameter_of(str(name), weights) for name in values.pop("longname")]
    table = table.merge(values, on="matrix", how="left")
    table["status"] = table["status"].fillna("not analysed")
    table.loc[table["status"] != "success", OF_A_FIT] = np.nan
    return table


@contextmanager
def _global_seed(seed: int) -> Iterator[None]:
    """Seed NumPy's global generator, with which WeightWatcher shuffles, and restore its state afterwards."""
    before = np.random.get_state()  # noqa: NPY002
    np.random.seed(seed)  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(before)  # noqa: NPY002


def _parameter_of(longname: str, weights: Mapping[str, np.ndarray]) -> str:
    return longname if longname in weights else f"{longname}.weight"


def _import_quietly() -> ModuleType:
    """WeightWatcher, with the root logger restored to what it was before the import."""
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    with needs_extra("spectra"):
        import weightwatcher

    root.setLevel(level)
    root.handlers[:] = handlers
    logging.getLogger("weightwatcher").setLevel(logging.ERROR)
    return weightwatcher
