"""Two runs side by side: which verdicts and numbers differ, and how many numbers would differ by chance."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from rareneurons.errors import RunError
from rareneurons.stats import NORMAL_95, benjamini_hochberg
from rareneurons.tables import MEASURE_COLUMNS, MEASURE_KEYS, VALUE, with_empty_text

LEVEL = 0.05  # of the tables' intervals, and of what counts as a difference
RUNS = ("first", "second")
CLAIMS = "claims"
KEYS = {CLAIMS: ["claim", "model"]}  # of all other tables: MEASURE_KEYS
NUMBERS = ["value", "ci_low", "ci_high"]
SHOWN = 20  # numbers that the text lists; the table has all


@dataclass(frozen=True)
class RunComparison:
    """How two runs differ; empty tables where they do not.

    ``verdicts``, ``numbers`` (most certain difference first) and ``only`` (rows that one run alone has) share
    ``table`` and the key columns; values are ``value_first``, ``value_second`` and so on. ``n_verdicts`` and
    ``n_numbers`` (with an interval in both runs) were compared; of ``n_bare`` others ``n_unequal`` are not equal.
    """

    verdicts: pd.DataFrame
    numbers: pd.DataFrame
    only: pd.DataFrame
    n_verdicts: int
    n_numbers: int
    n_bare: int
    n_unequal: int

    @property
    def equal(self) -> bool:
        """Whether nothing is listed."""
        return not (len(self.verdicts) or len(self.numbers) or len(self.only))

    @property
    def by_chance(self) -> float:
        """Numbers expected to differ beyond their intervals if the runs drew other documents of the same kind."""
        return LEVEL * self.n_numbers

    def table(self) -> pd.DataFrame:
        """Everything listed, with its ``kind``: ``verdict``, ``number``, ``only in first`` or ``only in second``."""
        parts = [self.verdicts.assign(kind="verdict"), self.numbers.assign(kind="number"), self.only]
        listed = pd.concat([part for part in parts if len(part)] or [self.only])
        return listed[["kind", *(column for column in listed.columns if column != "kind")]].reset_index(drop=True)


def compare_runs(first: Mapping[str, pd.DataFrame], second: Mapping[str, pd.DataFrame]) -> RunComparison:
    """Join the tables of two runs on their keys.

    A number *differs beyond the intervals* if the 95 % interval of the difference, made of the two intervals' facing
    halves (Zou & Donner 2008), leaves out zero: with equal normal errors, if |a - b| > 1.96 sqrt(2) standard errors.
    Runs that share documents differ less often than ``by_chance`` says.

    Args:
        first: ``claims`` and tables by name. Those with the columns of a measure take part, others do not.
        second: likewise, of the other run.

    Raises:
        RunError: there are no verdicts, or a table has other columns in one run than in the other.
    """
    tables = [_taking_part(run) for run in (first, second)]
    for name in tables[0].keys() | tables[1].keys():
        if all(name in run for run in (first, second)) and not all(name in run for run in tables):
            lacking = next(i for i, run in enumerate(tables) if name not in run)
            columns = [column for column in MEASURE_COLUMNS if column not in (first, second)[lacking][name]]
            raise RunError(
                f"table {name}: the {RUNS[lacking]} run lacks {', '.join(columns)}, which the other one has; the runs "
                "come from different versions of this project. Run the older one again"
            )
    joined = [
        _joined(name, tables[0].get(name), tables[1].get(name)) for name in dict.fromkeys([*tables[0], *tables[1]])
    ]
    both = pd.concat([table[table["_merge"] == "both"] for table in joined], ignore_index=True)
    verdicts = both[both["table"] == CLAIMS]
    numbers = both[both["table"] != CLAIMS]
    bounded = np.isfinite(numbers[[f"{name}_{run}" for name in NUMBERS for run in RUNS]].to_numpy(float)).all(axis=1)
    bare = numbers[~bounded]
    unequal = ~np.isclose(bare["value_first"], bare["value_second"], rtol=1e-9, atol=0)
    p_value = difference_p(numbers[bounded])
    tested = numbers[bounded].assign(p_value=p_value, q_value=benjamini_hochberg(p_value))
    only = pd.concat([table[table["_merge"] != "both"] for table in joined], ignore_index=True)
    kinds = {"left_only": "only in first", "right_only": "only in second"}
    return RunComparison(
        _filled(verdicts[verdicts["verdict_first"] != verdicts["verdict_second"]]),
        _filled(tested[tested["p_value"] < LEVEL].sort_values("p_value", kind="stable")),
        _filled(only.assign(kind=only["_merge"].astype(str).map(kinds))),
        len(verdicts),
        len(tested),
        len(bare),
        int(unequal.sum()),
    )


def _taking_part(run: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """The verdicts and the measures' tables, in that order."""
    if CLAIMS not in run or not {"verdict", *KEYS[CLAIMS], *NUMBERS} <= set(run[CLAIMS]):
        found = f"columns {', '.join(run[CLAIMS].columns)}" if CLAIMS in run else f"{', '.join(run) or 'nothing'}"
        raise RunError(
            f"{CLAIMS}.csv with the columns claim, model, verdict, value, ci_low and ci_high is needed; found {found}. "
            "Let the run finish, or run it again with this version of the project"
        )
    measures = {name: with_empty_text(table) for name, table in run.items() if set(MEASURE_COLUMNS) <= set(table)}
    return {CLAIMS: run[CLAIMS], **measures}


def _joined(name: str, first: pd.DataFrame | None, second: pd.DataFrame | None) -> pd.DataFrame:
    """Outer join of a table of two runs, rows without a value left out; ``_merge`` says who has the row."""
    keys = KEYS.get(name, MEASURE_KEYS)
    columns = [*keys, *NUMBERS, *(["verdict"] if name == CLAIMS else ["unit"])]
    present = next(table for table in (first, second) if table is not None)
    sides = [(present.iloc[:0] if table is None else table)[columns] for table in (first, second)]
    if name != CLAIMS:
        sides = [side[side["value"].notna()] for side in sides]
    for side, run in zip(sides, RUNS, strict=True):
        if side.duplicated(keys).any():
            row = side.loc[side.duplicated(keys), keys].iloc[0]
            raise RunError(f"table {name} of the {run} run has two rows for {', '.join(map(str, row))}; expected one")
    return (
        sides[0]
        .merge(sides[1], on=keys, how="outer", suffixes=("_first", "_second"), indicator=True)
        .assign(table=name)
    )


def difference_p(numbers: pd.DataFrame) -> np.ndarray:
    """Two-sided p (n,) of no difference, from two values and their 95 % intervals.

    The difference's standard error is that of normal errors with the intervals' facing halves (Zou & Donner 2008). An
    interval that ends short of its own value has no half on that side.

    Args:
        numbers: ``value``, ``ci_low`` and ``ci_high`` of both runs, with their suffixes; finite.
    """
    from scipy.special import erfc

    first, second = ({name: numbers[f"{name}_{run}"].to_numpy(float) for name in NUMBERS} for run in RUNS)
    difference = second["value"] - first["value"]
    up = [first["ci_high"] - first["value"], second["value"] - second["ci_low"]]
    down = [first["value"] - first["ci_low"], second["ci_high"] - second["value"]]
    facing = np.where(difference > 0, up, down)
    half = np.linalg.norm(np.clip(facing, 0, None), axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.where(difference == 0, 0, NORMAL_95 * np.abs(difference) / half)
    return erfc(z / np.sqrt(2))


def _filled(table: pd.DataFrame) -> pd.DataFrame:
    """Columns that these rows fill, the table's name first; all columns where there are no rows."""
    table = table[["table", *(column for column in table.columns if column not in ("_merge", "table"))]]
    return table if table.empty else table.dropna(axis="columns", how="all").reset_index(drop=True)


def comparison_text(found: RunComparison, names: tuple[str, str]) -> str:
    """The comparison in words: verdicts, then numbers, then rows that only one run has.

    Args:
        found: the comparison.
        names: what to call the two runs.
    """
    lines = [
        f"{names[0]} compared with {names[1]}",
        "",
        f"Verdicts that differ: {len(found.verdicts)} of {found.n_verdicts}",
    ]
    for row in found.verdicts.to_dict("records"):
        lines.append(
            f"  {row['claim']} {row['model']}: {row['verdict_first']} -> {row['verdict_second']}{_change(row)}"
        )
    kept = int((found.numbers["q_value"] <= LEVEL).sum())
    lines += [
        "",
        f"Numbers that differ beyond their intervals: {len(found.numbers)} of {found.n_numbers}; "
        f"{found.by_chance:.0f} would differ by chance if the runs had drawn different documents;",
        f"  {kept} remain after Benjamini-Hochberg at {LEVEL:g}. Not compared: {found.n_bare} numbers without an "
        f"interval, {found.n_unequal} of them unequal",
    ]
    for row in found.numbers.head(SHOWN).to_dict("records"):
        lines.append(f"  {row['table']}: {_place(row)}{_change(row)}, q = {row['q_value']:.2g}")
    if len(found.numbers) > SHOWN:
        lines.append(f"  ... and {len(found.numbers) - SHOWN} more")
    for run, name in zip(RUNS, names, strict=True):
        mine = found.only[found.only["kind"] == f"only in {run}"]
        lines += ["", f"Only in {name}: {len(mine)} rows"]
        counts = mine.groupby(["table", "model"], sort=False).size().reset_index(name="rows")
        lines += [f"  {row['table']}: {row['rows']} of {row['model']}" for row in counts.to_dict("records")]
    return "\n".join(lines) + "\n"


def _place(row: Mapping[Any, Any]) -> str:
    names = [row["condition"], row["group"], row["measure"], row.get("part"), row.get("against"), row.get("quantity")]
    shown = [str(name) for name in names if isinstance(name, str) and name and name != VALUE]
    return f"{row['model']}/{row['checkpoint']} {' '.join(shown)}"


def _change(row: Mapping[Any, Any]) -> str:
    """Both values with their intervals; empty where neither run has one."""
    sides = [tuple(row.get(f"{name}_{run}", np.nan) for name in NUMBERS) for run in RUNS]
    if all(pd.isna(side[0]) for side in sides):
        return ""
    first, second = (f"{value:.3g} ({low:.3g} to {high:.3g})" for value, low, high in sides)
    return f": {first} -> {second}"
