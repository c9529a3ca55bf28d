"""Trend of every measure over training, how its change is spread over checkpoints, first step with a plateau."""

from collections.abc import Iterable, Iterator

import numpy as np
import pandas as pd

from rareneurons.regimes.estimates import PLATEAU
from rareneurons.stats import percentile_interval, spearman_of_draws, spearman_trend
from rareneurons.tables import MEASURE_COLUMNS, VALUE, Movement, over_training, rows_of

SERIES_KEYS = ["model", "condition", "group", "measure", "part", "quantity", "against"]
FIRST_STEP = "first_step"

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
        there are draws, there are also ``change`` (last less first), ``largest_step`` (the largest part of that change
        between two neighbouring checkpoints, as a share of it) and ``largest_step_from``, ``largest_step_to`` (those
        two). Intervals are over documents.
    """
    known = _drawn(draws)
    records = []
    for key, steps, values, unit in _series(tables):
        by_step = known.get(_key_of_draws(key), {})
        drawn = np.column_stack([by_step[step] for step in steps]) if set(steps) <= set(by_step) else None
        found = _trend(steps, values, drawn, n_permutations, rng)
        if drawn is not None:
            found += _change(steps, values, drawn, unit)
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
) -> list[tuple[Movement, dict[str, object]]]:
    rho, p = spearman_trend(steps, values, n_permutations, rng)
    if not np.isfinite(rho):
        return []
    low, high = (np.nan, np.nan) if drawn is None else percentile_interval(spearman_of_draws(steps, drawn))
    return [("trend", {"value": rho, "p_value": p, "ci_low": low, "ci_high": high, "unit": "Spearman rho"})]


def _change(
    steps: np.ndarray, values: np.ndarray, drawn: np.ndarray, unit: str
) -> list[tuple[Movement, dict[str, object]]]:
    """Change from the first checkpoint to the last, and how much of it lies between two neighbouring ones.

    The two neighbours are those of the values, in the draws too. A draw in which the measure goes the other way has no
    share.
    """
    change, drawn_change = values[-1] - values[0], drawn[:, -1] - drawn[:, 0]
    low, high = percentile_interval(drawn_change)
    rows: list[tuple[Movement, dict[str, object]]] = [
        ("change", {"value": change, "ci_low": low, "ci_high": high, "unit": unit})
    ]
    if change == 0:
        return rows
    at = int(np.argmax(np.diff(values) * np.sign(change)))
    same_way = drawn_change * np.sign(change) > 0
    shares = (drawn[:, at + 1] - drawn[:, at])[same_way] / drawn_change[same_way]
    low, high = percentile_interval(shares)
    share = (values[at + 1] - values[at]) / change
    rows.append(("largest_step", {"value": share, "ci_low": low, "ci_high": high, "unit": "share of the change"}))
    rows.append(("largest_step_from", {"value": float(steps[at]), "unit": "training step"}))
    rows.append(("largest_step_to", {"value": float(steps[at + 1]), "unit": "training step"}))
    return rows


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
