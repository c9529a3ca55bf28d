"""Trend of every measure over training, how its change is spread over checkpoints, first step with a plateau."""

from collections.abc import Iterable, Iterator

import numpy as np
import pandas as pd

from rareneurons.stats import percentile_interval, spearman_of_draws, spearman_trend
from rareneurons.tables import MEASURE_COLUMNS, PLATEAU_TEST

TREND_KEYS = ["model", "condition", "group", "measure"]
NULL_MEAN = ".null_mean"

Key = tuple[str, ...]


def _series(tables: Iterable[pd.DataFrame]) -> Iterator[tuple[Key, np.ndarray, np.ndarray, str]]:
    """Key, steps (n,), values (n,) and unit of every measure that has a value at two checkpoints with a step."""
    for table in tables:
        trained = table[(table["step"] >= 0) & table["value"].notna()]
        trained = trained[~trained["measure"].str.endswith(NULL_MEAN)].sort_values("step", kind="stable")
        for key, part in trained.groupby(TREND_KEYS, sort=False):
            if len(part) > 1:
                yield tuple(map(str, key)), part["step"].to_numpy(), part["value"].to_numpy(), str(part["unit"].iloc[0])


def _drawn(draws: pd.DataFrame) -> dict[Key, dict[int, np.ndarray]]:
    """Key of ``TREND_KEYS`` -> step -> draws (B,)."""
    found: dict[Key, dict[int, np.ndarray]] = {}
    for *key, step, values in draws[[*TREND_KEYS, "step", "draws"]].itertuples(index=False):
        found.setdefault(tuple(key), {})[step] = np.asarray(values)
    return found


def measure_trends(
    tables: Iterable[pd.DataFrame], draws: pd.DataFrame, n_permutations: int, rng: np.random.Generator
) -> pd.DataFrame:
    """How each measure of each group moves with training step, group by group and condition by condition.

    Args:
        tables: measure tables over several checkpoints; checkpoints without a step (-1) take no part.
        draws: bootstrap draws of some measures (``model, step, condition, group, measure, draws``: array (B,)), the
            same documents in a draw of one number at all checkpoints. They give the intervals. Values against random
            and against matched controls are the same number: draws stand under ``.matched`` alone.
        n_permutations: permutations for the p-value.
        rng: draws the permutations.

    Returns:
        ``MEASURE_COLUMNS``; ``checkpoint`` is ``all``, ``step`` the last, ``n`` checkpoints. ``<measure>.trend``:
        Spearman's rho with its permutation p, for four checkpoints and more. Where there are draws, also
        ``<measure>.change`` (last less first), ``<measure>.largest_step`` (the largest part of that change between two
        neighbouring checkpoints, as a share of it) and ``.largest_step.from``, ``.largest_step.to`` (those two).
        Intervals are over documents.
    """
    known = _drawn(draws)
    records = []
    for key, steps, values, unit in _series(tables):
        by_step = known.get((*key[:3], key[3].replace(".random", ".matched")), {})
        drawn = np.column_stack([by_step[step] for step in steps]) if set(steps) <= set(by_step) else None
        common = dict(zip(TREND_KEYS, key, strict=True)) | {"checkpoint": "all", "step": steps.max(), "n": len(steps)}
        rho, p = spearman_trend(steps, values, n_permutations, rng)
        if np.isfinite(rho):
            low, high = (np.nan, np.nan) if drawn is None else percentile_interval(spearman_of_draws(steps, drawn))
            trend = {"value": rho, "p_value": p, "ci_low": low, "ci_high": high, "unit": "Spearman rho"}
            records.append(common | trend | {"measure": f"{key[3]}.trend"})
        if drawn is not None:
            changes = _change(steps, values, drawn, unit)
            records += [common | row | {"measure": f"{key[3]}{row['measure']}"} for row in changes]
    return pd.DataFrame(records, columns=MEASURE_COLUMNS)


def _change(steps: np.ndarray, values: np.ndarray, drawn: np.ndarray, unit: str) -> list[dict[str, object]]:
    """Change from the first checkpoint to the last, and how much of it lies between two neighbouring ones.

    The two neighbours are those of the values, in the draws too; a draw in which the measure goes the other way has no
    share.
    """
    change, drawn_change = values[-1] - values[0], drawn[:, -1] - drawn[:, 0]
    low, high = percentile_interval(drawn_change)
    rows = [{"measure": ".change", "value": change, "ci_low": low, "ci_high": high, "unit": unit}]
    if change == 0:
        return rows
    at = int(np.argmax(np.diff(values) * np.sign(change)))
    same_way = drawn_change * np.sign(change) > 0
    shares = (drawn[:, at + 1] - drawn[:, at])[same_way] / drawn_change[same_way]
    low, high = percentile_interval(shares)
    share = (values[at + 1] - values[at]) / change
    name = ".largest_step"
    rows.append({"measure": name, "value": share, "ci_low": low, "ci_high": high, "unit": "share of the change"})
    for end, step in (("from", steps[at]), ("to", steps[at + 1])):
        rows.append({"measure": f"{name}.{end}", "value": float(step), "unit": "training step"})
    return rows


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
