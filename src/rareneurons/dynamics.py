"""Every measure against training step: trends, the first step with a plateau, turnover of the top neurons."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from rareneurons.regimes.curve import rank_curve
from rareneurons.regimes.plateau import head_overlap
from rareneurons.stats import percentile_interval, spearman, spearman_trend
from rareneurons.tables import MEASURE_COLUMNS

TREND_KEYS = ["model", "condition", "group", "measure"]
PLATEAU_TEST = "mean_abs.test.plateau"


def measure_trends(
    tables: Iterable[pd.DataFrame], draws: pd.DataFrame, n_permutations: int, rng: np.random.Generator
) -> pd.DataFrame:
    """Rank correlation of each measure with training step, for neuron groups re-selected at every checkpoint.

    Args:
        tables: measure tables over several checkpoints; checkpoints without a step (-1) take no part.
        draws: bootstrap draws of some measures (``model, step, condition, group, measure, draw, value``), the same
            documents in the draws of one number at all checkpoints. Their trends give the interval.
        n_permutations: permutations for the p-value.
        rng: draws the permutations.

    Returns:
        ``MEASURE_COLUMNS`` with measure ``<measure>.trend``: Spearman's rho, its document-bootstrap interval where
        there are draws, its permutation p, ``n`` checkpoints; ``checkpoint`` is ``all`` and ``step`` the last.
        Measures of fewer than four checkpoints are left out.
    """
    intervals = _trend_intervals(draws)
    records = []
    for table in tables:
        trained = table[(table["step"] >= 0) & table["value"].notna()]
        for key, part in trained.groupby(TREND_KEYS, sort=False):
            if str(part["measure"].iloc[0]).endswith(".null_mean"):
                continue
            rho, p = spearman_trend(part["step"].to_numpy(), part["value"].to_numpy(), n_permutations, rng)
            if np.isfinite(rho):
                low, high = intervals.get(key, (np.nan, np.nan))
                records.append(
                    dict(zip(TREND_KEYS, key, strict=True))
                    | {"checkpoint": "all", "step": int(part["step"].max()), "value": rho, "p_value": p}
                    | {"ci_low": low, "ci_high": high}
                    | {"measure": f"{key[3]}.trend", "n": len(part), "unit": "Spearman rho"}
                )
    return pd.DataFrame(records, columns=MEASURE_COLUMNS)


def _trend_intervals(draws: pd.DataFrame) -> dict[tuple, tuple[float, float]]:
    """Key of ``TREND_KEYS`` -> central 95 % of the trends of its draws."""
    intervals = {}
    for key, part in draws[draws["step"] >= 0].groupby(TREND_KEYS, sort=False):
        wide = part.pivot_table(index="draw", columns="step", values="value")
        steps = wide.columns.to_numpy()
        trends = [
            spearman(steps[known], row[known]) if (known := np.isfinite(row)).sum() >= 4 else np.nan
            for row in wide.to_numpy()
        ]
        intervals[key] = percentile_interval(np.asarray(trends))
    return intervals


def first_plateau_steps(regimes: pd.DataFrame) -> pd.DataFrame:
    """First training step at which a plateau is declared, per model, condition and sign.

    Args:
        regimes: regime tables over models and checkpoints.

    Returns:
        ``MEASURE_COLUMNS`` with measure ``mean_abs.test.plateau.first_step``; the value is a step, NaN where no
        checkpoint has a plateau; ``n`` checkpoints. Checkpoints without a step take no part.
    """
    tests = regimes[(regimes["measure"] == PLATEAU_TEST) & (regimes["step"] >= 0)]
    records = []
    for key, part in tests.groupby(["model", "condition", "group"], sort=False):
        declared = part.loc[part["value"] == 1, "step"]
        records.append(
            dict(zip(["model", "condition", "group"], key, strict=True))
            | {"checkpoint": "all", "step": int(part["step"].max()), "measure": f"{PLATEAU_TEST}.first_step"}
            | {"value": float(declared.min()) if len(declared) else np.nan, "n": len(part), "unit": "training step"}
        )
    return pd.DataFrame(records, columns=MEASURE_COLUMNS)


def turnover(influence: pd.DataFrame, top: int) -> pd.DataFrame:
    """Share of the top boost neurons that a checkpoint keeps from the one before, and what documents alone leave.

    Args:
        influence: influence tables of all checkpoints of some models and conditions.
        top: size of the tops, by mean abs dL.

    Returns:
        ``MEASURE_COLUMNS``, one row a checkpoint from the second on: ``kept.top_<k>`` (held-out against held-out of the
        checkpoint before) and, for every checkpoint, ``kept.top_<k>.same_checkpoint`` (discovery against held-out).
        NaN where a curve has fewer neurons.
    """
    records = []
    trained = influence[influence["step"] >= 0]
    for (model, condition), part in trained.groupby(["model", "condition"], sort=False):
        before: np.ndarray | None = None
        for (step, checkpoint), here in part.groupby(["step", "checkpoint"]):
            orders = {split: _boost_order(here[here["split"] == split]) for split in ("discovery", "heldout")}
            shares = {f"kept.top_{top}.same_checkpoint": _kept(orders["discovery"], orders["heldout"], top)}
            if before is not None:
                shares[f"kept.top_{top}"] = _kept(before, orders["heldout"], top)
            before = orders["heldout"]
            records += [
                {
                    "model": model,
                    "checkpoint": checkpoint,
                    "step": step,
                    "condition": condition,
                    "group": "boost",
                    "measure": measure,
                    "value": value,
                    "n": top,
                    "unit": "share of the top",
                }
                for measure, value in shares.items()
            ]
    return pd.DataFrame(records, columns=MEASURE_COLUMNS)


def _boost_order(influence: pd.DataFrame) -> np.ndarray:
    ordered = influence.sort_values("neuron")
    mean, mean_abs = ordered["mean_delta_loss"].to_numpy(), ordered["mean_abs_delta_loss"].to_numpy()
    return rank_curve(mean, mean_abs, "boost").neuron


def _kept(first: np.ndarray, second: np.ndarray, top: int) -> float:
    return head_overlap(first[:top], second) if min(len(first), len(second)) >= top else float("nan")
