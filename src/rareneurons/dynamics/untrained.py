"""Each checkpoint's differences between conditions, minus those of the model before training."""

import numpy as np
import pandas as pd

from rareneurons.conventions import LAST_UNTRAINED
from rareneurons.dynamics.trends import SERIES_KEYS
from rareneurons.stats import NORMAL_95
from rareneurons.tables import DIFFERENCE, EXCESS, FINAL_PREFIX, MEASURE_COLUMNS

UNTRAINED = "untrained"  # what the excess is against
NUMBER = ["condition", "group", "measure", "part"]


def beyond_untrained(table: pd.DataFrame, draws: pd.DataFrame) -> pd.DataFrame:
    """By how much a trained model's groups differ more between the conditions than those of the untrained model.

    Groups are chosen at every checkpoint. Those of the untrained model show how much of a difference the choice finds
    where nothing was learnt. The same documents are drawn at both checkpoints; the interval is normal, with the
    standard deviation of the draws' difference.

    Args:
        table: a measure's table over models and checkpoints.
        draws: bootstrap draws of some of its numbers (``SERIES_KEYS``, ``step`` and ``draws``: array (B,)).

    Returns:
        ``MEASURE_COLUMNS``: quantity ``excess``, against ``untrained``, for each difference that has draws, at each
        later checkpoint of a model that has one at step 0 or 1; ``null_mean`` is the untrained model's difference.
    """
    differences = table[(table["quantity"] == DIFFERENCE) & ~table["group"].str.startswith(FINAL_PREFIX)]
    differences = differences.drop_duplicates(["model", "step", *NUMBER])
    drawn = draws.loc[(draws["quantity"] == DIFFERENCE) & (draws["against"] == ""), [*SERIES_KEYS, "step", "draws"]]
    mine = differences.merge(drawn[["model", "step", *NUMBER, "draws"]], on=["model", "step", *NUMBER])
    first = mine[mine["step"] == mine.groupby("model")["step"].transform("min")]
    first = first.loc[first["step"] <= LAST_UNTRAINED, ["model", *NUMBER, "value", "draws"]]
    both = mine[mine["step"] > LAST_UNTRAINED].merge(first, on=["model", *NUMBER], suffixes=("", "_first"))
    gap = (both["value"] - both["value_first"]).to_numpy(dtype=float)
    error = np.array(
        [np.nanstd(np.subtract(own, before)) for own, before in zip(both["draws"], both["draws_first"], strict=True)]
    ).reshape(-1)
    found = both.assign(
        quantity=EXCESS,
        against=UNTRAINED,
        value=gap,
        ci_low=gap - NORMAL_95 * error,
        ci_high=gap + NORMAL_95 * error,
        null_mean=both["value_first"],
        null_n=1,
        p_value=_two_sided(gap, error),
        **dict.fromkeys(("null_low", "null_high", "q_value"), np.nan),
    )
    return found[MEASURE_COLUMNS]


def _two_sided(gap: np.ndarray, error: np.ndarray) -> np.ndarray:
    """p of zero for normal errors; NaN where there is no error."""
    from scipy.special import ndtr

    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(error > 0, 2 * ndtr(-np.abs(gap) / error), np.nan)
