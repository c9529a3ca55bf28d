"""The known numbers of the paper, each with the most similar number of the run."""

from collections.abc import Callable, Hashable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from rareneurons.influence.sums import InfluenceSums
from rareneurons.regimes.curve import RankCurve, rank_curve
from rareneurons.regimes.estimates import N_NEURONS
from rareneurons.regimes.fixed import band_line
from rareneurons.stats import document_weights, percentile_interval
from rareneurons.tables import IDENTITY, VALUE, last_checkpoints, rows_of

LINES = "paper_lines"  # what the authors read off a curve and no other table has
HEIGHT, LINE_EXPONENT, LINE_HEIGHT = "height", "line_exponent", "line_height_at_rank_1"
LAST_STEP = 143000  # of the paper's models with steps
SAME_MODEL, OTHER_MODEL, NOT_NAMED = "same model", "other model", "model not named"
NOT_IN_RUN, NO_MEASURE = "not in this run", "no measure"
NUMBERS = ["value", "ci_low", "ci_high"]
COLUMNS = [
    *("paper", "source", "paper_quantity", "rows", "unit", "paper_model", "first_step", "last_step"),
    *("paper_value", "paper_low", "paper_high", "match", "model", "checkpoint", "condition", "group"),
    *("measure", "part", "against", "column", "statistic", "low", "high", "at"),
    *(*NUMBERS, "n", "definition"),
]
# Columns of a measure's table that speak for its values, and for the mean of its controls.
SOURCES = {
    "value": ["value", "ci_low", "ci_high", "n"],
    "null_mean": ["null_mean", "null_low", "null_high", "null_n"],
}


def paper_numbers() -> pd.DataFrame:
    """The numbers known of the paper and its siblings (``paper_numbers.csv``): one row per number."""
    return pd.read_csv(Path(__file__).with_name("paper_numbers.csv"))


def placed(
    numbers: pd.DataFrame, regimes: pd.DataFrame, presets: Mapping[str, str], pair: tuple[str, str]
) -> pd.DataFrame:
    """Where in the run each of the paper's numbers has its counterpart.

    The checkpoint is the last one that the run has of the paper's steps. Where the run does not have the model, or the
    paper does not name it, the last checkpoint of the run's largest model (by neurons of its last MLP) is used,
    provided the number is about the end of training.

    Args:
        numbers: the paper's numbers; ``model`` empty where not named, ``first_step`` and ``last_step`` where the model
            has no steps, ``preset`` where the authors' band is none of the presets or no measure has it.
        regimes: the table over models and checkpoints.
        presets: preset -> name of the run's condition with that band.
        pair: the run's conditions that are used for rare and common where it has no such condition.

    Returns:
        The numbers with ``paper_model``, ``match`` and the run's ``model``, ``checkpoint``, ``condition``.
    """
    checkpoints = regimes[IDENTITY].drop_duplicates()
    neurons = rows_of(regimes[regimes["condition"] == pair[0]], *N_NEURONS)
    largest = str(last_checkpoints(neurons).groupby("model")["value"].sum().idxmax())
    places = [_place(number, checkpoints, largest) for number in numbers.to_dict("records")]
    found = numbers.rename(columns={"model": "paper_model"})
    found[["match", "model", "checkpoint"]] = pd.DataFrame(places, index=found.index, columns=range(3))
    sides = found["side"].map(dict(zip(("condition", "contrast"), pair, strict=True)))
    found["condition"] = found["preset"].map(presets).fillna(sides)
    stands_in = found["preset"].notna() & ~found["preset"].isin(presets)
    note = "; this run has no condition of that band (" + found["preset"].fillna("") + ")"
    found["definition"] += note.where(stands_in, "")
    return found


def _place(number: Mapping[Any, Any], checkpoints: pd.DataFrame, largest: str) -> tuple[str, str | None, str | None]:
    """How a number matches the run, and the run's model and checkpoint."""
    if pd.isna(number["measure"]):
        return NO_MEASURE, None, None
    model, last_step = number["model"], number["last_step"]
    mine = checkpoints[checkpoints["model"] == model].sort_values("step")
    if len(mine):
        if not pd.isna(last_step):
            mine = mine[mine["step"].between(number["first_step"], last_step)]
        return (SAME_MODEL, str(model), str(mine["checkpoint"].iloc[-1])) if len(mine) else (NOT_IN_RUN, None, None)
    if last_step < LAST_STEP:
        return NOT_IN_RUN, None, None
    theirs = checkpoints[checkpoints["model"] == largest].sort_values("step")
    return NOT_NAMED if pd.isna(model) else OTHER_MODEL, largest, str(theirs["checkpoint"].iloc[-1])


def on_curve(curve: RankCurve, measure: str, low: float, high: float, at: float) -> float:
    """What the authors read off a curve.

    Args:
        curve: the curve.
        measure: ``height``, ln influence at the ln rank ``at`` (linear between ranks); or, of a least-squares line over
            ``low <= ln rank < high``, ``line_exponent`` (its negative slope) and ``line_height_at_rank_1``.
        low: first ln rank of the line; NaN for all ranks.
        high: end of the line; NaN for all ranks.
        at: ln rank.

    Returns:
        The number; NaN beyond the curve's last rank, and where fewer than three ranks lie in the band.

    Raises:
        ValueError: another measure.
    """
    if measure == HEIGHT:
        known = len(curve.ln_rank) and at <= curve.ln_rank[-1]
        return float(np.interp(at, curve.ln_rank, curve.ln_influence)) if known else float("nan")
    if measure not in (LINE_EXPONENT, LINE_HEIGHT):
        raise ValueError(f"measure: found {measure!r}, expected {HEIGHT}, {LINE_EXPONENT} or {LINE_HEIGHT}")
    slope, intercept = band_line(curve, 0 if np.isnan(low) else low, np.inf if np.isnan(high) else high)
    return -slope if measure == LINE_EXPONENT else intercept


def line_table(
    numbers: pd.DataFrame, sums_of: Callable[[str, str, str], InfluenceSums], n_draws: int, rng: np.random.Generator
) -> pd.DataFrame:
    """What the numbers of the table ``LINES`` ask for, on held-out documents, with document-bootstrap intervals.

    Args:
        numbers: as :func:`placed` returns them.
        sums_of: effects by document of a model, a checkpoint and ``<condition>/<split>``.
        n_draws: bootstrap draws.
        rng: draws documents.

    Returns:
        ``value``, ``ci_low``, ``ci_high``, ``n`` (blocks of documents), with the index of ``numbers``.
    """
    asked = numbers[(numbers["table"] == LINES) & numbers["model"].notna()]
    found: dict[Hashable, tuple[float, ...]] = {}
    for place, part in asked.groupby(["model", "checkpoint", "condition"]):
        model, checkpoint, condition = map(str, place)
        sums = sums_of(model, checkpoint, f"{condition}/heldout")
        found |= _line_numbers(sums, document_weights(len(sums.n_rows), n_draws, rng), part)
    return pd.DataFrame.from_dict(found, orient="index", columns=[*NUMBERS, "n"])


def _line_numbers(sums: InfluenceSums, weights: np.ndarray, asked: pd.DataFrame) -> dict[Hashable, tuple[float, ...]]:
    """Index of each number -> value, interval and blocks of documents."""
    weights = np.vstack([np.ones((1, weights.shape[1])), weights])  # the documents as they are come first
    rows = (weights @ sums.n_rows)[:, None]
    means = list(zip(weights @ sums.signed / rows, weights @ sums.absolute / rows, strict=True))
    found: dict[Hashable, tuple[float, ...]] = {}
    for number, asked_for in asked.to_dict("index").items():
        curves = [rank_curve(*each, asked_for["group"], asked_for["statistic"]) for each in means]
        read = (asked_for["measure"], asked_for["low"], asked_for["high"], asked_for["at"])
        value, *draws = (on_curve(curve, *read) for curve in curves)
        found[number] = value, *percentile_interval(np.array(draws)), len(sums.n_rows)
    return found


def paper_comparison(numbers: pd.DataFrame, tables: Mapping[str, pd.DataFrame], lines: pd.DataFrame) -> pd.DataFrame:
    """Each of the paper's numbers beside the run's, with the difference in definitions.

    Args:
        numbers: as :func:`placed` returns them.
        tables: measures' tables by name.
        lines: as :func:`line_table` returns them.

    Returns:
        ``COLUMNS``, one row per number. ``match`` says what is beside it: the ``same model``, an ``other model``, a
        model where the paper names none (``model not named``), or nothing (``not in this run``, ``no measure``).
    """
    keys = ["table", "model", "checkpoint", "condition", "group", "measure", "part", "against", "column"]
    numbers = numbers.fillna({"part": "", "against": ""})
    values = pd.concat([_by_column(table).assign(table=name) for name, table in tables.items()], ignore_index=True)
    found = numbers.merge(values, on=keys, how="left", suffixes=("", "_here")).set_index(numbers.index)
    found.loc[lines.index, lines.columns] = lines
    counted = (found["unit"] == "neurons") & (found["unit_here"] == "ln rank")
    found.loc[counted, NUMBERS] = np.exp(found.loc[counted, NUMBERS])
    missing = found["model"].notna() & found["value"].isna()
    found["definition"] += np.where(missing, "; it has no value in this run", "")
    return found[COLUMNS]


def _by_column(table: pd.DataFrame) -> pd.DataFrame:
    """A measure's values, and below them the means of their controls; ``column`` says which."""
    values = table[table["quantity"] == VALUE]
    keys = ["model", "checkpoint", "condition", "group", "measure", "part", "against", "unit"]
    columns = SOURCES["value"]
    parts = [
        values[[*keys, *names]].set_axis([*keys, *columns], axis=1).assign(column=column)
        for column, names in SOURCES.items()
    ]
    return pd.concat(parts, ignore_index=True)
