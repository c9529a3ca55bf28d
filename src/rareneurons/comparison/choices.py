"""What changes when the authors' choices are made, one at a time, on the same run.

A choice is switched on by giving the run's own estimators another input at each model's last checkpoint
(:func:`choice_measures`), or by putting rows that the run has anyway in the place of others (:func:`tables_with`). The
verdicts' rules then speak about tables that differ in nothing else (:func:`effects_of_choices`).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Any

import numpy as np
import pandas as pd

from rareneurons.bands import PRESETS
from rareneurons.claims import Bounds, decide
from rareneurons.coordination.estimates import activation_coordination
from rareneurons.dynamics.trends import measure_trends
from rareneurons.groups import FIXED_PREFIX, HEADS, Controlled, controlled_groups, groups_of_influence, neuron_features
from rareneurons.influence.sums import InfluenceSums
from rareneurons.organization.group import Effort, LayerActivations, group_organization
from rareneurons.regimes.curve import rank_curve
from rareneurons.regimes.estimates import RegimeSettings, regime_estimates, unit_of
from rareneurons.regimes.fixed import fixed_cuts
from rareneurons.stats import adjusted_in_families, benjamini_hochberg, document_weights, percentile_interval
from rareneurons.tables import PLATEAU_TEST, CheckpointName, Estimate, last_checkpoints, measure_frame

FLATNESS = "mean_abs.auto.flatness"
HEAD = "plateau"
# What the verdicts read; a choice's rows take the place of the run's.
READ = {
    "regimes": ("mean_abs.auto.flatness", PLATEAU_TEST, "mean_abs.test.power"),
    "coordination": ("effective_dimension.matched",),
    "organization": ("signed_modularity.matched",),
}


@dataclass(frozen=True)
class Choice:
    """Which of the authors' choices are made, and the claims they can touch.

    ``input_band``: rows whose input token is rare, not their target; ``fixed_cuts``: a plateau up to the first fixed cut,
    without a test; ``random_controls``: random groups, not matched ones; ``reused_documents``: neurons are described on
    the documents that chose them.
    """

    name: str
    touches: tuple[str, ...]
    input_band: bool = False
    fixed_cuts: bool = False
    random_controls: bool = False
    reused_documents: bool = False


CHOICES = (
    Choice("input bands", ("C1", "C3", "C4"), input_band=True),
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
    return [replace(choice, input_band=False) for choice in CHOICES if choice != CHOICES[0]]


@dataclass(frozen=True)
class Evidence:
    """What choices are measured on: one checkpoint.

    ``activation`` (rows, N) of the last MLP; ``document`` (rows,); ``masks``: ``<condition>/<split>`` -> (rows,);
    ``sums``: likewise -> effects by document; ``influence``, ``groups``, ``controls``: the checkpoint's tables;
    ``output_weight`` (N, d).
    """

    activation: np.ndarray
    document: np.ndarray
    masks: Mapping[str, np.ndarray]
    sums: Mapping[str, InfluenceSums]
    influence: pd.DataFrame
    groups: pd.DataFrame
    controls: pd.DataFrame
    output_weight: np.ndarray


@dataclass(frozen=True)
class Settings:
    """``pair``: the claims' two conditions; ``by_input``: the one by input token; and how much is computed."""

    pair: tuple[str, str]
    by_input: str | None
    regimes: RegimeSettings
    controls: int
    bootstrap: int
    organization: Effort


def choice_measures(
    name: CheckpointName, evidence: Evidence, settings: Settings, rng: np.random.Generator
) -> pd.DataFrame:
    """What the verdicts read, measured anew under each choice that changes rows, documents or controls.

    Args:
        name: the checkpoint.
        evidence: of the checkpoint.
        settings: conditions, draws, searches.
        rng: draws controls, documents, null curves and searches.

    Returns:
        ``choice``, ``table`` and ``MEASURE_COLUMNS``, ``reason``; rows are named as the verdicts expect them: the choice's
        condition stands under the first of the pair, its controls under ``matched``, its head under ``plateau``.
    """
    frames = []
    for choice in choices_for(settings.by_input):
        condition = str(settings.by_input) if choice.input_band else settings.pair[0]
        split = "discovery" if choice.reused_documents else "heldout"
        measured: dict[str, list[tuple[str, str, Estimate]]] = {}
        if set(choice.touches) & {"C1", "C2"}:
            measured["regimes"] = list(_regimes(choice, condition, split, evidence, settings, rng))
        if choice.input_band or choice.random_controls or choice.reused_documents:
            groups = _heads(choice, condition, evidence, settings, rng)
            rows = evidence.masks[f"{condition}/{split}"]
            measured["coordination"] = _coordination(rows, groups, evidence, settings, rng)
            discovery = evidence.masks[f"{condition}/discovery"]
            measured["organization"] = _organization(rows, discovery, groups, evidence, settings, rng)
        for table, found in measured.items():
            kept = [each for each in found if each[2].measure.startswith(READ[table])]
            reasons = [estimate.reason for *_, estimate in kept]
            frames.append(measure_frame(name, kept).assign(choice=choice.name, table=table, reason=reasons))
    return pd.concat(frames, ignore_index=True)


def _regimes(
    choice: Choice, condition: str, split: str, evidence: Evidence, settings: Settings, rng: np.random.Generator
) -> Iterator[tuple[str, str, Estimate]]:
    """The boost curves of both conditions."""
    conditions = dict(zip(settings.pair, (condition, settings.pair[1]), strict=True))
    described = {name: evidence.sums[f"{other}/{split}"] for name, other in conditions.items()}
    if choice.fixed_cuts:
        weights = document_weights(len(described[settings.pair[0]].n_rows), settings.regimes.bootstrap, rng)
        for name, sums in described.items():
            yield name, "boost", _fixed_flatness(sums, weights, settings.regimes.cuts)
            # Whatever comes before the first cut is called a plateau.
            yield name, "boost", Estimate(PLATEAU_TEST, 1.0, unit_of("test.plateau"), len(sums.n_rows))
        return
    sums = {f"{name}/heldout": found for name, found in described.items()}
    sums |= {f"{name}/discovery": evidence.sums[f"{other}/discovery"] for name, other in conditions.items()}
    # Boost curves come first; those of suppress neurons are never computed.
    yield from takewhile(lambda each: each[1] == "boost", regime_estimates(sums, settings.pair, settings.regimes, rng))


def _fixed_flatness(sums: InfluenceSums, weights: np.ndarray, cuts: tuple[float, float]) -> Estimate:
    """Exponent before the first fixed cut over that between the two, with a document-bootstrap interval."""

    def flatness(weight: np.ndarray) -> float:
        n_rows = weight @ sums.n_rows
        curve = rank_curve(weight @ sums.signed / n_rows, weight @ sums.absolute / n_rows, "boost")
        lines = fixed_cuts(curve, cuts)
        return lines["plateau_exponent"] / lines["power_law_exponent"]

    low, high = percentile_interval(np.array([flatness(weight) for weight in weights]))
    value = flatness(np.ones(len(sums.n_rows)))
    return Estimate(FLATNESS, value, unit_of("auto.flatness"), len(sums.n_rows), low, high)


def _heads(
    choice: Choice, condition: str, evidence: Evidence, settings: Settings, rng: np.random.Generator
) -> Controlled:
    """The heads of the choice's discovery curve, with the choice's controls under ``matched``."""
    groups, controls = evidence.groups, evidence.controls
    if choice.input_band:
        discovery = evidence.activation[evidence.masks[f"{condition}/discovery"]]
        features = neuron_features(discovery, evidence.output_weight)
        cuts = settings.regimes.cuts
        groups, controls = groups_of_influence(evidence.influence, condition, cuts, features, settings.controls, rng)
    found = controlled_groups(groups, controls)
    kind = "random" if choice.random_controls else "matched"
    heads = {name: (found[name][0], {"matched": found[name][1][kind]}) for name in HEADS if name in found}
    return {HEAD: heads[FIXED_PREFIX + HEAD]} if choice.fixed_cuts and FIXED_PREFIX + HEAD in heads else heads


def _coordination(
    rows: np.ndarray, groups: Controlled, evidence: Evidence, settings: Settings, rng: np.random.Generator
) -> list[tuple[str, str, Estimate]]:
    document = evidence.document[rows]
    weights = document_weights(len(np.unique(document)), settings.bootstrap, rng)
    found, _ = activation_coordination(evidence.activation[rows], document, groups, weights, rng)
    return [(settings.pair[0], *each) for each in found]


def _organization(
    rows: np.ndarray,
    discovery: np.ndarray,
    groups: Controlled,
    evidence: Evidence,
    settings: Settings,
    rng: np.random.Generator,
) -> list[tuple[str, str, Estimate]]:
    layer = LayerActivations(evidence.activation[rows], evidence.document[rows], evidence.activation[discovery])
    effort = replace(settings.organization, shifts=1, pairs=1)  # for what no verdict reads
    return [
        (settings.pair[0], name, replace(finding.estimate, reason=finding.reason))
        for name, (members, controls) in groups.items()
        for finding in group_organization(layer, members, dict(controls), effort, rng)
    ]


def tables_with(
    choice: Choice,
    tables: Mapping[str, pd.DataFrame],
    measured: pd.DataFrame,
    spectra_draws: pd.DataFrame,
    condition: str,
    n_permutations: int,
    rng: np.random.Generator,
) -> dict[str, pd.DataFrame]:
    """The run's tables as they would be with a choice made.

    Args:
        choice: which.
        tables: name -> table over models and checkpoints.
        measured: as :func:`choice_measures` returns it, all models.
        spectra_draws: bootstrap draws of the spectra at the checkpoints that trends are about.
        condition: what the claims call rare.
        n_permutations: for trends.
        rng: draws the permutations.
    """
    made = dict(tables)
    if choice.random_controls:
        made |= _with_random_spectra(tables, spectra_draws, n_permutations, rng)
    if choice.fixed_cuts:
        made |= {name: _with_fixed_head(made[name]) for name in ("coordination", "organization", "spectra", "dynamics")}
    mine = measured[measured["choice"] == choice.name]
    for name, rows in mine.groupby("table"):
        made[str(name)] = _with_rows(str(name), made[str(name)], rows.drop(columns=["choice", "table"]), condition)
    return made


def _with_rows(name: str, table: pd.DataFrame, rows: pd.DataFrame, condition: str) -> pd.DataFrame:
    """The table with a choice's rows in the place of the run's, p-values adjusted anew among all of the checkpoint's."""
    places = table["model"] + "/" + table["checkpoint"]
    here = places.isin(rows["model"] + "/" + rows["checkpoint"]) & table["measure"].str.startswith(READ[name])
    if name == "regimes":
        return pd.concat([table[~(here & (table["group"] == "boost"))], rows[table.columns]], ignore_index=True)
    here &= table["group"].isin(HEADS) & (table["condition"] == condition)
    merged = pd.concat([table[~here], rows], ignore_index=True)
    adjusted = adjusted_in_families if name == "coordination" else _adjusted_together
    for _, part in merged.groupby(["model", "checkpoint"]):
        if part["q_value"].isna().ne(part["p_value"].isna()).any():
            merged.loc[part.index, "q_value"] = adjusted(part)
    return merged[table.columns]


def _adjusted_together(table: pd.DataFrame) -> np.ndarray:
    return benjamini_hochberg(table["p_value"].to_numpy(dtype=float))


def _with_fixed_head(table: pd.DataFrame) -> pd.DataFrame:
    """The head before the first fixed cut under the name of the plateau."""
    names = {name.replace(HEAD, FIXED_PREFIX + HEAD): name for name in (HEAD, f"final_{HEAD}")}
    return table[~table["group"].isin(names.values())].replace({"group": names})


def _with_random_spectra(
    tables: Mapping[str, pd.DataFrame], draws: pd.DataFrame, n_permutations: int, rng: np.random.Generator
) -> dict[str, pd.DataFrame]:
    """Hill exponents of the heads against random groups, at every checkpoint and over training."""
    spectra, dynamics = tables["spectra"], tables["dynamics"]
    places = ["model", "checkpoint", "step", "condition", "group"]
    parts = spectra["measure"].str.extract(r"^(?P<own>hill\.\w+)\.(?P<kind>random|matched)(?P<rest>\..*)?$")
    hill = spectra.assign(own=parts["own"], rest=parts["rest"])
    random = hill[parts["kind"] == "random"]
    means = random[random["rest"] == ".null_mean"].set_index([*places, "own"])["value"].rename("mean")
    values = random[random["rest"].isna()].join(means, on=[*places, "own"])
    named = values["own"] + ".matched"
    compared = [values.assign(measure=named)]
    for end, against in ((".difference", np.subtract), (".ratio", np.divide)):
        numbers = {column: against(values[column], values["mean"]) for column in ("value", "ci_low", "ci_high")}
        compared.append(values.assign(measure=named + end, p_value=np.nan, q_value=np.nan, **numbers))
    null = random[random["rest"] == ".null_mean"]
    compared.append(null.assign(measure=null["own"] + ".matched.null_mean"))
    held = pd.concat([spectra[parts["kind"] != "matched"], *compared], ignore_index=True)[spectra.columns]
    own = draws[draws["measure"].isin(named)]
    own = own.assign(own=own["measure"].str.removesuffix(".matched")).join(means, on=[*places, "own"])
    ratios = own.assign(draws=own["draws"] / own["mean"], measure=own["measure"] + ".ratio")
    about = held[held["measure"].isin(ratios["measure"]) & held["checkpoint"].isin(draws["checkpoint"])]
    trends = measure_trends([about], ratios, n_permutations, rng)
    old = dynamics["measure"].str.match(r"hill\.\w+\.matched\.ratio\.")
    return {"spectra": held, "dynamics": pd.concat([dynamics[~old], trends], ignore_index=True)}
