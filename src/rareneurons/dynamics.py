"""Every measure against training step."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from rareneurons.stats import spearman_trend
from rareneurons.tables import MEASURE_COLUMNS

TREND_KEYS = ["model", "condition", "group", "measure"]


def measure_trends(tables: Iterable[pd.DataFrame], n_draws: int, rng: np.random.Generator) -> pd.DataFrame:
    """Rank correlation of each measure with training step, for neuron groups re-selected at every checkpoint.

    Args:
        tables: measure tables over several checkpoints; checkpoints without a step (-1) take no part.
        n_draws: permutations for the p-value.
        rng: draws the permutations.

    Returns:
        ``MEASURE_COLUMNS`` with measure ``<measure>.trend``: Spearman's rho, its permutation p, ``n`` checkpoints;
        ``checkpoint`` is ``all`` and ``step`` the last. No interval: a trend over documents needs one bootstrap that
        runs through all checkpoints at once. Measures of fewer than four checkpoints are left out.
    """
    records = []
    for table in tables:
        trained = table[(table["step"] >= 0) & table["value"].notna()]
        for key, part in trained.groupby(TREND_KEYS, sort=False):
            if str(part["measure"].iloc[0]).endswith(".null_mean"):
                continue
            rho, p = spearman_trend(part["step"].to_numpy(), part["value"].to_numpy(), n_draws, rng)
            if np.isfinite(rho):
                records.append(
                    dict(zip(TREND_KEYS, key, strict=True))
                    | {"checkpoint": "all", "step": int(part["step"].max()), "value": rho, "p_value": p}
                    | {"measure": f"{key[3]}.trend", "n": len(part), "unit": "Spearman rho"}
                )
    return pd.DataFrame(records, columns=MEASURE_COLUMNS)
