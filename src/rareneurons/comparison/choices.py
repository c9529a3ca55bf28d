"""What changes when the authors' choices are made, one at a time, on the same run.

A choice is switched on by giving the run's own estimators another input at each model's last checkpoint
(``choice_measures``), or by rows that the run has anyway in the place of others (:func:`tables_with`). Then the
verdicts' rules speak about tables that differ in nothing else (:func:`effects_of_choices`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from rareneurons.bands import PRESETS
from rareneurons.claims import Bounds, decide
from rareneurons.dynamics.trends import measure_trends
from rareneurons.groups import FIXED_PREFIX, HEADS
from rareneurons.stats import adjusted_in_families, benjamini_hochberg
from rareneurons.tables import FINAL_PREFIX, IDENTITY, PLATEAU_TEST

HEAD = HEADS[0]
# What the verdicts read of a table; a choice's rows take the place of the run's.
READ = {
    "regimes": ("mean_abs.auto.flatness", PLATEAU_TEST, "mean_abs.test.power"),
    "coordination": ("effective_dimension.matched",),
    "organization": ("signed_modularity.matched",),
}
NUMBERS = ["value", "ci_low", "ci_high", "p_value", "n", "verdict"]
COLUMNS = ["choice", "claim", "model", "statistic", *NUMBERS, *(f"proper_{name}" for name in NUMBERS), "changed"]


@dataclass(frozen=True)
class Choice:
    """Which of the authors' choices are made, and the claims they can touch here.

    ``input_band``: rows whose input token is rare, not their target; ``fixed_cuts``: a plateau up to the first fixed
    cut, without a test; ``random_controls``: random groups, not matched ones; ``reused_documents``: neurons are
    described on the documents that chose them.
    """

    name: str
    touches: tuple[str, ...]
    input_band: bool = False
    fixed_cuts: bool = False
    random_controls: bool = False
    reused_documents: bool = False


# Not C5, whose heads would have to be ablated again for every choice, nor C6 and, for bands of input tokens, C7: their
# groups would have to be chosen again at every checkpoint. Weights know no documents.
INPUT_BANDS = Choice("input bands", ("C1", "C3", "C4"), input_band=True)
CHOICES = (
    INPUT_BANDS,
    Choice("fixed cuts", ("C1", "C2", "C3", "C4", "C7"), fixed_cuts=True),
    Choice("random controls", ("C3", "C4", "C7"), random_controls=True),
    Choice("reused documents", ("C1", "C2", "C3", "C4"), reused_documents=True),
    Choice("all together", ("C1", "C2", "C3", "C4"), True, True, True, True),
)


def input_condition(conditions: Sequence[Mapping[str, Any]]) -> str | None:
    """The last of the configuration's conditions that is a band of input tokens; None where there is none."""
    by = {entry["name"]: PRESETS[entry["preset"]].by if "preset" in entry else entry.get("by") for entry in conditions}
    return next((name for name in reversed(by) if by[name] == "input"), None)


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
    bounds: Bounds,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Every verdict that a choice can touch, beside the run's own.

    Args:
        tables: as ``claims.decide`` takes them.
        measured: as ``choice_measures`` returns it, all models.
        spectra_draws: bootstrap draws of the spectra at the checkpoints that trends are about.
        by_input: the run's condition by input token.
        bounds: decision bounds.
        rng: draws permutations for trends.

    Returns:
        ``COLUMNS``: one row a choice, claim and model; ``proper_...`` is the run's own, ``changed`` whether the
        verdicts differ.
    """
    keys = ["claim", "model"]
    models = tables["regimes"]["model"].unique()
    proper = decide(tables, bounds)[[*keys, *NUMBERS]].rename(columns={name: f"proper_{name}" for name in NUMBERS})
    frames = []
    for choice in choices_for(by_input):
        made = tables_with(choice, tables, measured, spectra_draws, bounds, rng)
        verdicts = decide(made, bounds)
        verdicts = verdicts[verdicts["claim"].isin(choice.touches) & verdicts["model"].isin(models)]
        statistic = [_named(text, choice, bounds.condition, str(by_input)) for text in verdicts["statistic"]]
        frames.append(verdicts.assign(choice=choice.name, statistic=statistic))
    found = pd.concat(frames, ignore_index=True).merge(proper, on=keys)
    return found.assign(changed=found["verdict"] != found["proper_verdict"])[COLUMNS]


def _named(statistic: str, choice: Choice, condition: str, by_input: str) -> str:
    """A statistic's name with what the choice put in its place."""
    if choice.fixed_cuts:
        statistic = statistic.replace(".auto.", ".fixed.").replace(f"({HEAD},", f"({FIXED_PREFIX}{HEAD},")
    if choice.random_controls:
        statistic = statistic.replace(".matched", ".random").replace("the matched mean", "the random mean")
    if choice.input_band:
        statistic = statistic.replace(f", {condition})", f", {by_input})")
    return f"{statistic}, discovery" if choice.reused_documents else statistic


def tables_with(
    choice: Choice,
    tables: Mapping[str, pd.DataFrame],
    measured: pd.DataFrame,
    spectra_draws: pd.DataFrame,
    bounds: Bounds,
    rng: np.random.Generator,
) -> dict[str, pd.DataFrame]:
    """The run's tables as they would be with a choice made; arguments as :func:`effects_of_choices` takes them."""
    made = dict(tables)
    if choice.random_controls and "C7" in choice.touches:
        made |= _against_random(tables, spectra_draws, bounds.permutations, rng)
    if choice.fixed_cuts:
        of_groups = ("groups", "coordination", "organization", "spectra", "dynamics")
        made |= {name: _with_fixed_head(made[name]) for name in of_groups}
    mine = measured[measured["choice"] == choice.name]
    for name, rows in mine.groupby("table"):
        made[str(name)] = _with_rows(str(name), made[str(name)], rows, bounds.condition)
    return made


def _with_rows(name: str, table: pd.DataFrame, rows: pd.DataFrame, condition: str) -> pd.DataFrame:
    """The table with a choice's rows in the place of the run's, and p-values adjusted anew."""
    places = table["model"] + "/" + table["checkpoint"]
    here = places.isin(rows["model"] + "/" + rows["checkpoint"]) & table["measure"].str.startswith(READ[name])
    if name == "regimes":
        here &= (table["group"] == "boost") & table["condition"].isin(rows["condition"])
        return pd.concat([table[~here], rows], ignore_index=True)[table.columns]
    here &= table["group"].isin(HEADS) & (table["condition"] == condition)
    merged = pd.concat([table[~here], rows], ignore_index=True)[table.columns]
    for index in merged.groupby(["model", "checkpoint"]).indices.values():
        part = merged.iloc[index]
        by_family = name == "coordination"
        adjusted = adjusted_in_families(part) if by_family else benjamini_hochberg(part["p_value"].to_numpy(float))
        merged.loc[index, "q_value"] = adjusted
    return merged


def _with_fixed_head(table: pd.DataFrame) -> pd.DataFrame:
    """The head before the first fixed cut under the name of the plateau, too."""
    names = {f"{FIXED_PREFIX}{HEAD}": HEAD, f"{FINAL_PREFIX}{FIXED_PREFIX}{HEAD}": f"{FINAL_PREFIX}{HEAD}"}
    fixed = table[table["group"].isin(list(names))].replace({"group": names})
    return pd.concat([table[~table["group"].isin(list(names.values()))], fixed], ignore_index=True)


def _against_random(
    tables: Mapping[str, pd.DataFrame], draws: pd.DataFrame, n_permutations: int, rng: np.random.Generator
) -> dict[str, pd.DataFrame]:
    """Spectra and their trends, with Hill exponents held against random groups under the name of matched ones."""
    spectra, dynamics = tables["spectra"], tables["dynamics"]
    parts = spectra["measure"].str.extract(r"^(?P<own>hill\.\w+)\.(?P<kind>random|matched)(?P<rest>\..+)?$")
    keys = [*IDENTITY, "condition", "group", "own"]
    random = spectra.assign(own=parts["own"], rest=parts["rest"])[parts["kind"] == "random"]
    null, own = random[random["rest"] == ".null_mean"], random[random["rest"].isna()]
    means = null.set_index(keys)["value"].rename("mean")
    own = own.join(means, on=keys)
    held = [own.assign(measure=own["own"] + ".matched"), null.assign(measure=null["own"] + ".matched.null_mean")]
    for end, against in ((".difference", np.subtract), (".ratio", np.divide)):
        beside = {column: against(own[column], own["mean"]) for column in ("value", "ci_low", "ci_high")}
        held.append(own.assign(**beside, measure=own["own"] + f".matched{end}", p_value=np.nan, q_value=np.nan))
    replaced = pd.concat([spectra[parts["kind"] != "matched"], *held], ignore_index=True)[spectra.columns]
    mine = draws[draws["measure"].str.fullmatch(r"hill\.\w+\.matched")]
    mine = mine.assign(own=mine["measure"].str.removesuffix(".matched")).join(means, on=keys)
    ratio_draws = mine.assign(draws=mine["draws"] / mine["mean"], measure=mine["measure"] + ".ratio")
    ratios = held[-1].merge(ratio_draws[keys], on=keys)
    trends = measure_trends([ratios], ratio_draws, n_permutations, rng)
    old = dynamics["measure"].str.match(r"hill\.\w+\.matched\.ratio\.")
    return {"spectra": replaced, "dynamics": pd.concat([dynamics[~old], trends], ignore_index=True)}


def choices_markdown(choices: pd.DataFrame) -> str:
    """How many verdicts each choice changes, then a table a claim: value and verdict by model and choice."""
    lines = ["| choice | verdicts it can touch | changed | which |", "|---|---|---|---|"]
    for choice, part in choices.groupby("choice", sort=False):
        changed = part[part["changed"]].to_dict("records")
        which = [f"{row['claim']} {row['model']}: {row['proper_verdict']} to {row['verdict']}" for row in changed]
        lines.append(f"| {choice} | {len(part)} | {len(changed)} | {'; '.join(which) or '–'} |")
    lines += ["", "*none* is this project's own; verdicts in bold differ from it."]
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
