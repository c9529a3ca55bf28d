"""What changes when other choices are made, one at a time, on the same run.

The choices are those of the authors, and some that ought not to matter. A choice is another view of the verdicts. If
the run's tables lack the numbers that it needs, these are measured by the run's own estimators at each model's last
checkpoint (``choice_measures``, ``firmness_measures``), or computed from rows of the tables (:func:`tables_with`).
The verdicts'
rules then look at tables that differ in nothing else (:func:`effects_of_choices`, ``firmness``).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import sub, truediv
from typing import Any, Literal

import numpy as np
import pandas as pd

from rareneurons.bands import PRESETS
from rareneurons.claims import Bounds, Decision, View, decide, decisions_by_model
from rareneurons.claims.dimension import DIMENSION
from rareneurons.claims.tails import HILL
from rareneurons.conventions import TOP
from rareneurons.dynamics.trends import measure_trends
from rareneurons.groups import MATCH_QUALITY, TOP_GROUPS, ControlKind
from rareneurons.joint.measures import DELTA_LOSS
from rareneurons.organization.estimates import COMMON_FACTOR, DIVISION_POWER, PLANTED_CORRELATION, SEPARATION
from rareneurons.regimes.curve import Statistic
from rareneurons.regimes.estimates import N_NEURONS, OF_READING, PLATEAU, POWER
from rareneurons.stats import adjusted_in_families
from rareneurons.tables import DIFFERENCE, IDENTITY, RATIO, VALUE

RANDOM: ControlKind = "random"
# The measures of a table that verdicts read; those of a choice take the place of the run's.
READ = {
    "regimes": (*(measure for measure, _ in OF_READING.values()), PLATEAU[0], POWER[0], N_NEURONS[0], "plateau_end"),
    "coordination": (DIMENSION,),
    "organization": (SEPARATION, DIVISION_POWER, PLANTED_CORRELATION, COMMON_FACTOR),
    "group_match": (MATCH_QUALITY,),
    "joint": (DELTA_LOSS,),
    "dynamics": (DELTA_LOSS,),
}
MEASURED_TABLES = tuple(READ)  # what is measured again under each choice that ought not to matter
WITH_PARTS = ("regimes", "group_match", "joint", "dynamics")  # tables of which verdicts read all parts
Reference = Literal["mean", "zero", "resample"]
NUMBERS = ["value", "ci_low", "ci_high", "p_value", "n", "verdict"]
COLUMNS = ["choice", "claim", "model", "statistic", *NUMBERS, *(f"proper_{name}" for name in NUMBERS), "changed"]


@dataclass(frozen=True)
class Choice:
    """Which other choices are made, and the claims they can touch here.

    ``kind``: the authors' choices, or those that ought not to matter (``firmness``).

    The authors' are: ``input_band``: rows whose input token is rare, not their target; ``fixed_cuts``: a plateau up to
    the first fixed cut, without a test; ``random_controls``: random groups, not matched ones; ``reused_documents``:
    neurons are described on the documents that chose them.

    Those that ought not to matter are: ``reference``: what replaces an ablated neuron's activation; ``band``: the
    condition in place of rare; ``split``: documents dealt to the splits again, or the splits exchanged;
    ``half_documents``: half of either split's documents; ``statistic``: the influence of a neuron. ``why_not``: why a
    run cannot make the choice at all.
    """

    name: str
    touches: tuple[str, ...]
    input_band: bool = False
    fixed_cuts: bool = False
    random_controls: bool = False
    reused_documents: bool = False
    kind: Literal["authors", "firmness"] = field(default="authors", kw_only=True)
    reference: Reference | None = field(default=None, kw_only=True)
    band: str | None = field(default=None, kw_only=True)
    split: Literal["own", "other", "swapped"] = field(default="own", kw_only=True)
    half_documents: bool = field(default=False, kw_only=True)
    statistic: Statistic = field(default="mean_abs", kw_only=True)
    why_not: str = field(default="", kw_only=True)

    def view(self, own: View, by_input: str | None = None) -> View:
        """What verdicts look at under this choice.

        Args:
            own: the run's own view.
            by_input: the run's condition by input token.
        """
        view = own if self.band is None else replace(own, condition=self.band)
        if self.input_band and by_input is not None:
            # There are no exchanges of these labels.
            view = replace(view, condition=by_input, shuffled=False)
        if self.fixed_cuts:
            view = replace(view, group=TOP)
        if self.random_controls:
            view = replace(view, controls=RANDOM)
        return replace(view, split="discovery") if self.reused_documents else view


# Not C5, because heads would have to be ablated again for every choice. Not C6 and, for bands of input tokens, C7,
# because groups would have to be chosen again at every checkpoint. Weights do not depend on documents. C4 is decided
# against rotated neurons, not compared with control groups.
INPUT_BANDS = Choice("input bands", ("C1", "C3", "C4"), input_band=True)
CHOICES = (
    INPUT_BANDS,
    Choice("fixed cuts", ("C1", "C2", "C3", "C4", "C7"), fixed_cuts=True),
    Choice("random controls", ("C3", "C7"), random_controls=True),
    Choice("reused documents", ("C1", "C2", "C3", "C4"), reused_documents=True),
    Choice("all together", ("C1", "C2", "C3", "C4"), True, True, True, True),
)


# C5 to C7 are left out for their cost.
RECOMPUTED = ("C1", "C2", "C8", "C3", "C4")
CHOSEN_AGAIN = "neurons would have to be chosen and measured again at every checkpoint"
NOT_RECOMPUTED = {"C5": "attention heads would have to be ablated again", "C6": CHOSEN_AGAIN, "C7": CHOSEN_AGAIN}
NO_OTHER_BAND = "rows.conditions has no other band of target tokens"


def _by_token(conditions: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Name of each of the configuration's conditions -> the token that its band is about."""
    return {
        entry["name"]: PRESETS[entry["preset"]].by if "preset" in entry else entry.get("by", "target")
        for entry in conditions
    }


def input_condition(conditions: Sequence[Mapping[str, Any]]) -> str | None:
    """The last of the configuration's conditions that is a band of input tokens; None where there is none."""
    by = _by_token(conditions)
    return next((name for name in reversed(by) if by[name] == "input"), None)


def firmness_choices(
    wanted: Mapping[str, Any], reference: str, conditions: Sequence[Mapping[str, Any]], pair: tuple[str, str]
) -> list[Choice]:
    """The choices that ought not to matter, as far as the configuration asks for them.

    Args:
        wanted: the configuration's section ``firmness``.
        reference: the run's own reference, which is no other choice.
        conditions: the configuration's conditions. The first other one by target token is the other band.
        pair: the run's own two conditions.
    """

    def choice(name: str, **different: Any) -> Choice:
        return Choice(name, RECOMPUTED, kind="firmness", **different)

    others = (name for name, by in _by_token(conditions).items() if by == "target" and name not in pair)
    band = next(others, None)
    switched = {
        "other_band": choice("other band", band=band, why_not="" if band else NO_OTHER_BAND),
        "other_split": choice("other split", split="other"),
        "swapped_split": choice("swapped split", split="swapped"),
        "half_documents": choice("half the documents", half_documents=True),
        "other_statistic": choice("other statistic", statistic="abs_mean"),
    }
    references = [choice(f"{each} reference", reference=each) for each in wanted["references"] if each != reference]
    return references + [each for key, each in switched.items() if wanted[key]]


def choices_for(by_input: str | None) -> list[Choice]:
    """The choices that a run can make: without a condition by input token, all but that one."""
    if by_input is not None:
        return list(CHOICES)
    return [replace(choice, input_band=False) for choice in CHOICES if choice is not INPUT_BANDS]


def effects_of_choices(
    tables: Mapping[str, pd.DataFrame],
    measured: pd.DataFrame,
    spectra_draws: pd.DataFrame,
    by_input: str | None,
    own: View,
    bounds: Bounds,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Every verdict that a choice can touch, beside the run's own.

    Args:
        tables: as ``claims.decide`` takes them.
        measured: as ``choice_measures`` returns it, all models.
        spectra_draws: bootstrap draws of the spectra at the checkpoints that trends are about.
        by_input: the run's condition by input token.
        own: the run's own view.
        bounds: decision bounds.
        rng: draws permutations for trends.

    Returns:
        ``COLUMNS``: one row per choice, claim and model; ``proper_...`` is the run's own, ``changed`` whether the
        verdicts differ.
    """
    keys = ["claim", "model"]
    decided = decisions_by_model(tables, own, bounds)
    proper = decide(tables, own, bounds)[[*keys, *NUMBERS]].rename(columns={name: f"proper_{name}" for name in NUMBERS})
    frames = []
    for choice in choices_for(by_input):
        made = tables_with(choice, tables, measured, spectra_draws, own, bounds, rng)
        view, kept = replace(choice.view(own, by_input), premise=own), untouched(choice, decided)
        verdicts = decide(made, view, bounds, kept=kept)
        touched = verdicts["claim"].isin(choice.touches) & verdicts["model"].isin(decided)
        frames.append(verdicts[touched].assign(choice=choice.name))
    found = pd.concat(frames, ignore_index=True).merge(proper, on=keys)
    return found.assign(changed=found["verdict"] != found["proper_verdict"])[COLUMNS]


def untouched(choice: Choice, decided: Mapping[str, Mapping[str, Decision]]) -> dict[str, dict[str, Decision]]:
    """Model -> claim -> the run's own decision, of the claims that a choice does not touch.

    Their p count where the others are adjusted, so that a choice tests as many claims as the run.
    """
    return {
        model: {claim: decision for claim, decision in mine.items() if claim not in choice.touches}
        for model, mine in decided.items()
    }


def read_by_verdicts(name: str, table: pd.DataFrame) -> pd.Series:
    """Which rows of a measure's table verdicts read, as a mask; of parts of the rows or weights they read nothing."""
    read = table["measure"].isin(READ[name])
    return read if name in WITH_PARTS else read & (table["part"] == "")


def tables_with(
    choice: Choice,
    tables: Mapping[str, pd.DataFrame],
    measured: pd.DataFrame,
    spectra_draws: pd.DataFrame,
    own: View,
    bounds: Bounds,
    rng: np.random.Generator,
) -> dict[str, pd.DataFrame]:
    """The run's tables with what a choice needs; arguments as :func:`effects_of_choices` takes them.

    Tables that were measured under the choice get a column ``split``: the documents that a row is about.
    """
    made = dict(tables)
    if choice.random_controls and "C7" in choice.touches:
        made |= _against_random(tables, spectra_draws, bounds.permutations, rng)
    mine = measured[measured["choice"] == choice.name]
    for name, rows in mine.groupby("table"):
        made[str(name)] = _with_rows(str(name), made[str(name)], rows, own)
    return made


def _with_rows(name: str, table: pd.DataFrame, rows: pd.DataFrame, own: View) -> pd.DataFrame:
    """The table with a choice's rows in the place of the run's, and p-values adjusted again."""
    places = table["model"] + "/" + table["checkpoint"]
    here = places.isin(rows["model"] + "/" + rows["checkpoint"]) & read_by_verdicts(name, table)
    if name == "regimes":
        here &= (table["group"] == "boost") & table["condition"].isin(rows["condition"])
    elif name == "group_match":
        here &= table["condition"].isin(rows["condition"])
    else:
        here &= table["group"].isin(TOP_GROUPS) & table["condition"].isin([own.condition, *rows["condition"]])
        here &= table["against"].isin(rows["against"])
    merged = pd.concat([table[~here].assign(split=own.split), rows], ignore_index=True)[[*table.columns, "split"]]
    for index in merged.groupby(["model", "checkpoint"]).indices.values():
        merged.loc[index, "q_value"] = adjusted_in_families(merged.iloc[index])
    return merged


def _against_random(
    tables: Mapping[str, pd.DataFrame], draws: pd.DataFrame, n_permutations: int, rng: np.random.Generator
) -> dict[str, pd.DataFrame]:
    """Spectra and their trends with differences and ratios of Hill exponents to random groups added.

    The run has them for matched groups alone. They are computed from the values and the random groups' mean.
    """
    spectra, keys = tables["spectra"], [*IDENTITY, "condition", "group", "measure", "part"]
    values = spectra[(spectra["measure"] == HILL) & (spectra["quantity"] == VALUE) & (spectra["against"] == RANDOM)]
    differences, ratios = _compared(values, DIFFERENCE, sub), _compared(values, RATIO, truediv)
    mine = draws[(draws["measure"] == HILL) & (draws["quantity"] == VALUE)]
    mine = mine.merge(values[[*keys, "null_mean"]], on=keys)
    mine = mine.assign(draws=mine["draws"] / mine["null_mean"], quantity=RATIO, against=RANDOM)
    trends = measure_trends([ratios.merge(mine[keys], on=keys)], mine, n_permutations, rng)
    return {
        "spectra": pd.concat([spectra, differences, ratios], ignore_index=True),
        "dynamics": pd.concat([tables["dynamics"], trends], ignore_index=True),
    }


def _compared(
    values: pd.DataFrame, quantity: str, compare: Callable[[pd.Series, pd.Series], pd.Series]
) -> pd.DataFrame:
    """Rows of values, and of their intervals, compared with the mean of the control groups."""
    numbers = {name: compare(values[name], values["null_mean"]) for name in ("value", "ci_low", "ci_high")}
    unknown = dict.fromkeys(("null_mean", "null_low", "null_high", "p_value", "q_value"), np.nan)
    return values.assign(quantity=quantity, **numbers, **unknown)


def choices_markdown(choices: pd.DataFrame) -> str:
    """How many verdicts each choice changes, then a table per claim: value and verdict by model and choice."""
    lines = ["| choice | verdicts it can change | changed | which |", "|---|---|---|---|"]
    for choice, part in choices.groupby("choice", sort=False):
        changed = part[part["changed"]].to_dict("records")
        which = [f"{row['claim']} {row['model']}: {row['proper_verdict']} to {row['verdict']}" for row in changed]
        lines.append(f"| {choice} | {len(part)} | {len(changed)} | {'; '.join(which) or '–'} |")
    lines += ["", "*none* is the result without any of these choices; verdicts in bold differ from it."]
    for claim, part in choices.groupby("claim", sort=True):
        lines += ["", f"**{claim}**", "", "| model | choice | value (95 % interval) | verdict |", "|---|---|---|---|"]
        for model, rows in part.groupby("model", sort=False):
            own = rows.iloc[0]
            lines.append(f"| {model} | none | {_interval(own, 'proper_')} | {own['proper_verdict']} |")
            for _, row in rows.iterrows():
                verdict = f"**{row['verdict']}**" if row["changed"] else row["verdict"]
                lines.append(f"| | {row['choice']} | {_interval(row)} | {verdict} |")
    return "\n".join([*lines, ""])


def _interval(row: pd.Series, prefix: str = "") -> str:
    value, low, high = (row[prefix + name] for name in ("value", "ci_low", "ci_high"))
    return f"{value:.3g} ({low:.3g} to {high:.3g})"
