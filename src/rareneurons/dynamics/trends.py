"""Trend of every measure over training, its change, the fitted rise of differences, first step with a plateau."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pandas as pd

from rareneurons.dynamics.rise import fitted_rise
from rareneurons.regimes.estimates import PLATEAU
from rareneurons.stats import percentile_interval, spearman_of_draws, spearman_trend
from rareneurons.tables import (
    DIFFERENCE,
    EXCESS,
    FINAL_PREFIX,
    MEASURE_COLUMNS,
    VALUE,
    Movement,
    over_training,
    rows_of,
)

SERIES_KEYS = ["model", "condition", "group", "measure", "part", "quantity", "against"]
FIRST_STEP = "first_step"
RISING = (DIFFERENCE, EXCESS)  # quantities whose rise is fitted: those that have their comparison in them

Key = tuple[str, ...]


def _series(tables: Iterable[pd.DataFrame]) -> Iterator[tuple[Key, np.ndarray, np.ndarray, str]]:
    """Key, steps (n,), values (n,) and unit of every number that has a value at two checkpoints with a step."""
    for table in tables:
        trained = table[(table["step"] >= 0) & table["value"].notna()].sort_values("step", kind="stable")
        for key, part in trained.groupby(SERIES_KEYS, sort=False):
            if len(part) > 1:
                yield tuple(map(str, key)), part["step"].to_numpy(), part["value"].to_numpy(), str(part["unit"].iloc[0])


def _drawn(draws: pd.DataFrame) -> dict[Key, dict[int, np.ndarray]]:
    """Key of ``SERIES_KEYS`` -> step -> draws (B,)."""
    found: dict[Key, dict[int, np.ndarray]] = {}
    for *key, step, values in draws[[*SERIES_KEYS, "step", "draws"]].itertuples(index=False):
        found.setdefault(tuple(key), {})[step] = np.asarray(values)
    return found


def _key_of_draws(key: Key) -> Key:
    """Key of a number's draws: those of a value do not depend on what the value is compared with."""
    return (*key[:-1], "") if key[-2] == VALUE else key


def measure_trends(
    tables: Iterable[pd.DataFrame], draws: pd.DataFrame, n_permutations: int, rng: np.random.Generator
) -> pd.DataFrame:
    """How each number of each group moves with training step, condition by condition.

    Args:
        tables: measure tables over several checkpoints; checkpoints without a step (-1) take no part.
        draws: bootstrap draws of some numbers (``SERIES_KEYS``, ``step`` and ``draws``: array (B,)), the same documents
            in a draw of one number at all checkpoints. They give the intervals.
        n_permutations: permutations for the p-value.
        rng: draws the permutations.

    Returns:
        ``MEASURE_COLUMNS``; ``checkpoint`` is ``all``, ``step`` the last, ``n`` checkpoints. The quantity is named by
        :func:`over_training`: ``trend`` is Spearman's rho with its permutation p, for four checkpoints and more. Where
        there are draws, there is also ``change`` (last less first). Of quantities in ``RISING`` whose change excludes
        zero, except for groups tracked backwards, there is also the fitted :class:`Rise`: ``rise_width`` (ln step) and
        ``rise_centre`` (step) with intervals, ``rise_base``, ``rise_height`` and ``rise_scatter``. Intervals are over
        documents; those of the rise are over its scatter, too.
    """
    known = _drawn(draws)
    records = []
    for key, steps, values, unit in _series(tables):
        by_step = known.get(_key_of_draws(key), {})
        drawn = np.column_stack([by_step[step] for step in steps]) if set(steps) <= set(by_step) else None
        found = _trend(steps, values, drawn, n_permutations, rng)
        if drawn is not None:
            change = _change(values, drawn, unit)
            found.append(("change", change))
            named = dict(zip(SERIES_KEYS, key, strict=True))
            own = named["quantity"] in RISING and not named["group"].startswith(FINAL_PREFIX)
            if own and change["ci_low"] * change["ci_high"] > 0:
                found += _rise(steps, values, drawn, unit, rng)
        common = dict(zip(SERIES_KEYS, key, strict=True)) | {"checkpoint": "all", "step": steps.max(), "n": len(steps)}
        quantity = common["quantity"]
        records += [common | row | {"quantity": over_training(quantity, movement)} for movement, row in found]
    return _frame(records)


def _frame(records: list[dict[str, object]]) -> pd.DataFrame:
    """Rows with the columns of a measure's table; what a row does not say is empty or NaN."""
    filled = [dict.fromkeys(("part", "against", "reason"), "") | {"quantity": VALUE} | record for record in records]
    return pd.DataFrame(filled, columns=MEASURE_COLUMNS)


def _trend(
    steps: np.ndarray, values: np.ndarray, drawn: np.ndarray | None, n_permutations: int, rng: np.random.Generator
) -> list[tuple[Movement, dict[str, Any]]]:
    rho, p = spearman_trend(steps, values, n_permutations, rng)
    if not np.isfinite(rho):
        return []
    low, high = (np.nan, np.nan) if drawn is None else percentile_interval(spearman_of_draws(steps, drawn))
    return [("trend", {"value": rho, "p_value": p, "ci_low": low, "ci_high": high, "unit": "Spearman rho"})]


def _change(values: np.ndarray, drawn: np.ndarray, unit: str) -> dict[str, Any]:
    """Change from the first checkpoint to the last."""
    low, high = percentile_interval(drawn[:, -1] - drawn[:, 0])
    return {"value": values[-1] - values[0], "ci_low": low, "ci_high": high, "unit": unit}


def _rise(
    steps: np.ndarray, values: np.ndarray, drawn: np.ndarray, unit: str, rng: np.random.Generator
) -> list[tuple[Movement, dict[str, Any]]]:
    """The fitted rise; nothing where there are too few checkpoints."""
    rise = fitted_rise(steps, values, drawn, rng)
    if rise is None:
        return []
    (narrow, wide), (early, late) = rise.width_interval, np.expm1(rise.centre_interval)
    centre = {"value": float(np.expm1(rise.centre)), "ci_low": float(early), "ci_high": float(late)}
    return [
        ("rise_width", {"value": rise.width, "ci_low": narrow, "ci_high": wide, "unit": "ln step"}),
        ("rise_centre", centre | {"unit": "training step"}),
        ("rise_base", {"value": rise.base, "unit": unit}),
        ("rise_height", {"value": rise.height, "unit": unit}),
        ("rise_scatter", {"value": rise.scatter, "unit": unit}),
    ]


def first_plateau_steps(regimes: pd.DataFrame) -> pd.DataFrame:
    """First training step at which a plateau is declared, per model, condition and sign.

    Args:
        regimes: regime tables over models and checkpoints.

    Returns:
        ``MEASURE_COLUMNS`` with the quantity ``first_step`` of the plateau test; the value is a step, NaN where no
        checkpoint has a plateau; ``n`` checkpoints. Checkpoints without a step take no part.
    """
    tests = rows_of(regimes, *PLATEAU)
    records: list[dict[str, object]] = []
    for key, part in tests[tests["step"] >= 0].groupby(["model", "condition", "group"], sort=False):
        declared = part.loc[part["value"] == 1, "step"]
        records.append(
            dict(zip(["model", "condition", "group"], key, strict=True))
            | {"checkpoint": "all", "step": int(part["step"].max()), "n": len(part), "unit": "training step"}
            | dict(zip(("measure", "part"), PLATEAU, strict=True))
            | {"quantity": FIRST_STEP, "value": float(declared.min()) if len(declared) else np.nan}
        )
    return _frame(records)
