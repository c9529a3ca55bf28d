"""The numbers known of the paper, each beside the run's nearest one."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from rareneurons.influence.sums import InfluenceSums
from rareneurons.regimes.curve import RankCurve, Statistic, rank_curve
from rareneurons.regimes.fixed import band_line
from rareneurons.stats import document_weights, percentile_interval
from rareneurons.tables import IDENTITY, CheckpointName, Estimate, last_checkpoints, measure_frame

LINES = "paper_lines"  # what the authors read off a curve and no other table has
LAST_STEP = 143000  # of the paper's models with steps
SAME_MODEL, OTHER_MODEL, NOT_NAMED = "same model", "other model", "model not named"
NOT_IN_RUN, NO_MEASURE = "not in this run", "no measure"
COLUMNS = [
    *("paper", "source", "quantity", "rows", "unit", "paper_model", "first_step", "last_step"),
    *("paper_value", "paper_low", "paper_high", "match", "model", "checkpoint", "condition", "group", "measure"),
    *("value", "ci_low", "ci_high", "n", "definition"),
]


def placed(
    numbers: pd.DataFrame, regimes: pd.DataFrame, presets: Mapping[str, str], pair: tuple[str, str]
) -> pd.DataFrame:
    """Where in the run each of the paper's numbers has its counterpart.

    The checkpoint is the last one that the run has of the paper's steps. Where the run does not have the model, or the
    paper does not name it, the last checkpoint of the run's largest model (by neurons of its last MLP) stands in,
    provided the number is about the end of training.

    Args:
        numbers: the paper's numbers; ``model`` empty where not named, ``first_step`` and ``last_step`` where the model
            has no steps, ``preset`` where the authors' band is none of the presets or no measure has it.
        regimes: the table over models and checkpoints.
        presets: preset -> name of the run's condition with that band.
        pair: the run's conditions that stand for rare and common where it has no such condition.

    Returns:
        The numbers with ``paper_model``, ``match`` and the run's ``model``, ``checkpoint``, ``condition``.
    """
    checkpoints = regimes[IDENTITY].drop_duplicates()
    neurons = regimes[(regimes["measure"] == "mean_abs.n_neurons") & (regimes["condition"] == pair[0])]
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


_LINE = re.compile(
    r"(?P<statistic>mean_abs|abs_mean)\.(?:height_at_(?P<at>[\d.]+)"
    r"|line_(?:all|(?P<low>[\d.]+)_(?P<high>[\d.]+))\.(?P<what>exponent|height_at_rank_1))"
)


def on_curve(curve: RankCurve, measure: str) -> float:
    """What the authors read off a curve.

    Args:
        curve: the curve.
        measure: ``<statistic>.height_at_<x>``, ln influence at ln rank x (linear between ranks); or, of a least-squares
            line over ``low <= ln rank < high``, ``<statistic>.line_<low>_<high>.exponent`` (its negative slope) and
            ``.height_at_rank_1``; ``line_all`` for all ranks.

    Returns:
        The number; NaN beyond the curve's last rank, and where fewer than three ranks lie in the band.
    """
    asked = _LINE.fullmatch(measure)
    if asked is None:
        raise ValueError(f"measure: found {measure!r}, expected a height or a line")
    if asked["at"]:
        place = float(asked["at"])
        known = len(curve.ln_rank) and place <= curve.ln_rank[-1]
        return float(np.interp(place, curve.ln_rank, curve.ln_influence)) if known else float("nan")
    slope, intercept = band_line(curve, float(asked["low"] or 0), float(asked["high"] or np.inf))
    return -slope if asked["what"] == "exponent" else intercept


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
        ``MEASURE_COLUMNS``; ``n`` blocks of documents.
    """
    asked = numbers[(numbers["table"] == LINES) & numbers["model"].notna()]
    keys = ["model", "checkpoint", "condition", "group", "measure"]
    frames = [measure_frame(CheckpointName("", ""), [])]
    for place, part in asked[keys].drop_duplicates().groupby(keys[:3]):
        model, checkpoint, condition = map(str, place)
        sums = sums_of(model, checkpoint, f"{condition}/heldout")
        name, weights = CheckpointName(model, checkpoint), document_weights(len(sums.n_rows), n_draws, rng)
        frames.append(measure_frame(name, _line_estimates(sums, weights, condition, part)))
    return pd.concat([frame for frame in frames if len(frame)] or frames, ignore_index=True)


def _line_estimates(
    sums: InfluenceSums, weights: np.ndarray, condition: str, asked: pd.DataFrame
) -> Iterator[tuple[str, str, Estimate]]:
    weights = np.vstack([np.ones((1, weights.shape[1])), weights])  # the documents as they are come first
    rows = (weights @ sums.n_rows)[:, None]
    means = list(zip(weights @ sums.signed / rows, weights @ sums.absolute / rows, strict=True))
    for sign in asked["group"].unique():
        mine = asked.loc[asked["group"] == sign, "measure"]
        statistics: dict[Statistic, list[RankCurve]] = {
            statistic: [rank_curve(*each, sign, statistic) for each in means]
            for statistic in ("mean_abs", "abs_mean")
            if mine.str.startswith(statistic).any()
        }
        for measure in mine:
            value, *draws = (on_curve(curve, measure) for curve in statistics[measure.split(".")[0]])
            unit = "exponent" if measure.endswith("exponent") else "ln nats"
            interval = percentile_interval(np.array(draws))
            yield condition, sign, Estimate(measure, value, unit, len(sums.n_rows), *interval)


def paper_comparison(numbers: pd.DataFrame, tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Each of the paper's numbers beside the run's, with the difference in definitions.

    Args:
        numbers: as :func:`placed` returns them.
        tables: measures' tables by name, ``LINES`` among them.

    Returns:
        ``COLUMNS``, one row a number. ``match`` says what stands beside it: the ``same model``, an ``other model``, a
        model where the paper names none (``model not named``), or nothing (``not in this run``, ``no measure``).
    """
    keys = ["model", "checkpoint", "condition", "group", "measure"]
    values = pd.concat([table.assign(table=name) for name, table in tables.items()], ignore_index=True)
    values = values[["table", *keys, "value", "ci_low", "ci_high", "n", "unit"]]
    found = numbers.merge(values, on=["table", *keys], how="left", suffixes=("", "_here"))
    counted = (found["unit"] == "neurons") & (found["unit_here"] == "ln rank")
    found.loc[counted, ["value", "ci_low", "ci_high"]] = np.exp(found.loc[counted, ["value", "ci_low", "ci_high"]])
    missing = found["model"].notna() & found["value"].isna()
    found["definition"] += np.where(missing, "; it has no value in this run", "")
    return found[COLUMNS]
