"""The measures that verdicts use, computed again for a checkpoint under each of the authors' choices."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from rareneurons.claims.below_controls import null_kinds
from rareneurons.claims.view import View
from rareneurons.comparison.choices import Choice, choices_for, read_by_verdicts
from rareneurons.coordination.estimates import CoordinationSettings, activation_coordination
from rareneurons.evidence import Evidence
from rareneurons.groups import (
    TOP_GROUPS,
    ControlledGroups,
    controlled_groups,
    groups_of_influence,
    match_quality,
    neuron_features,
)
from rareneurons.influence.sums import InfluenceSums
from rareneurons.organization.activations import LayerActivations
from rareneurons.organization.estimates import ROTATION, group_division
from rareneurons.organization.settings import OrganizationSettings
from rareneurons.regimes.curve import rank_curve
from rareneurons.regimes.estimates import FIXED, FLATNESS, PLATEAU, RegimeSettings, curve_estimate, plateau_estimates
from rareneurons.regimes.fixed import fixed_cuts
from rareneurons.stats import document_weights, percentile_interval
from rareneurons.tables import Estimate, measure_frame

Named = tuple[str, str, Estimate]  # condition, group, estimate
MATCHED = "matched"


@dataclass(frozen=True)
class Selection:
    """How a checkpoint's groups were chosen: its tables ``influence``, ``groups`` and ``controls``."""

    influence: pd.DataFrame
    groups: pd.DataFrame
    controls: pd.DataFrame


@dataclass(frozen=True)
class ChoiceSettings:
    """``by_input``: the condition by input token, if there is one; and how much is computed."""

    by_input: str | None
    regimes: RegimeSettings
    controls: int
    bootstrap: int
    coordination: CoordinationSettings
    organization: OrganizationSettings


def choice_measures(
    evidence: Evidence, selection: Selection, settings: ChoiceSettings, rng: np.random.Generator
) -> pd.DataFrame:
    """What the verdicts read, under each choice that needs more than the run's tables.

    Args:
        evidence: ``rows``, ``activation``, ``last_layer`` (``output_weight``) and ``sums``.
        selection: how the checkpoint's groups were chosen.
        settings: conditions, draws, searches.
        rng: draws controls, documents, null curves and searches.

    Returns:
        ``choice``, ``table``, ``split`` and ``MEASURE_COLUMNS``: the condition, the group, the controls and the split
        are those of the choice's view.
    """
    own, frames = View(*evidence.conditions), []
    for choice in choices_for(settings.by_input):
        view = choice.view(own, settings.by_input)
        measured: dict[str, list[Named]] = {}
        if choice.input_band or choice.fixed_cuts or choice.reused_documents:
            measured["regimes"] = list(_regimes(view, evidence, settings, rng))
        if choice.input_band or choice.random_controls or choice.reused_documents:
            groups, measured["group_match"] = _groups(choice, view, evidence, selection, settings, rng)
            effort = settings.bootstrap, settings.coordination
            measured["coordination"] = measured_coordination(view, groups, evidence, *effort, rng)
            if choice.input_band or choice.reused_documents:
                measured["organization"] = measured_organization(view, groups, evidence, settings.organization, rng)
        for table, found in measured.items():
            frame = measure_frame(evidence.checkpoint, found)
            # The estimators call the one kind of controls that they were given matched.
            frame = frame.assign(against=frame["against"].where(frame["against"] != MATCHED, view.controls))
            kept = frame[read_by_verdicts(table, frame) & frame["against"].isin(["", *null_kinds(view), ROTATION])]
            frames.append(kept.assign(choice=choice.name, table=table, split=view.split))
    return pd.concat(frames, ignore_index=True)


def _regimes(view: View, evidence: Evidence, settings: ChoiceSettings, rng: np.random.Generator) -> Iterator[Named]:
    """The boost curves of both conditions."""
    pair, given = (view.condition, view.contrast), settings.regimes
    described = {name: evidence.sums[f"{name}/{view.split}"] for name in pair}
    if view.fixed_cuts:
        weights = document_weights(len(described[view.condition].n_rows), given.bootstrap, rng)
        for name, found in described.items():
            yield name, "boost", fixed_flatness(found, weights, given.cuts)
            # Whatever comes before the first cut is called a plateau.
            yield name, "boost", curve_estimate("mean_abs", (PLATEAU[0], FIXED), 1.0, len(found.n_rows))
        return
    sums = {f"{name}/heldout": found for name, found in described.items()}
    sums |= {f"{name}/discovery": evidence.sums[f"{name}/discovery"] for name in pair}
    yield from plateau_estimates(sums, pair, given, rng)


def fixed_flatness(sums: InfluenceSums, weights: np.ndarray, cuts: tuple[float, float]) -> Estimate:
    """The boost curve's exponent before the first fixed cut, over that between the two.

    Args:
        sums: effects by block of documents.
        weights: (B, blocks) how often each block occurs in each bootstrap draw.
        cuts: ln ranks.
    """

    def flatness(weight: np.ndarray) -> float:
        n_rows = weight @ sums.n_rows
        lines = fixed_cuts(rank_curve(weight @ sums.signed / n_rows, weight @ sums.absolute / n_rows, "boost"), cuts)
        return lines["plateau_exponent"] / lines["power_law_exponent"]

    interval = percentile_interval(np.array([flatness(weight) for weight in weights]))
    value = flatness(np.ones(len(sums.n_rows)))
    return curve_estimate("mean_abs", (FLATNESS[0], FIXED), value, len(sums.n_rows), interval)


def _groups(
    choice: Choice,
    view: View,
    evidence: Evidence,
    selection: Selection,
    settings: ChoiceSettings,
    rng: np.random.Generator,
) -> tuple[ControlledGroups, list[Named]]:
    """The top groups of the view's discovery curve, with the view's controls under the name of matched ones.

    Beside them, how well controls match groups that were chosen here.
    """
    groups, controls = selection.groups, selection.controls
    quality: list[Named] = []
    if choice.input_band:
        activation, _ = evidence.at(view.condition, "discovery")
        features = neuron_features(activation, evidence.last_layer["output_weight"])
        cuts, influence = settings.regimes.cuts, selection.influence
        groups, controls = groups_of_influence(influence, view.condition, cuts, features, settings.controls, rng)
        if view.controls == MATCHED:
            quality = match_quality(view.condition, groups, controls, features)
    wanted = TOP_GROUPS if view.group is None else (view.group,)
    found = {}
    for name in wanted:
        if (group := controlled_groups(groups, controls).get(name)) is not None:
            first, *others = null_kinds(view)
            drawn = {MATCHED: group.controls[first]} | {kind: group.controls[kind] for kind in others}
            permuted = group.permuted if first == MATCHED else np.empty((0, 0), dtype=np.int64)
            found[name] = replace(group, controls=drawn, permuted=permuted)
    return found, quality


def measured_coordination(
    view: View,
    groups: ControlledGroups,
    evidence: Evidence,
    bootstrap: int,
    settings: CoordinationSettings,
    rng: np.random.Generator,
) -> list[Named]:
    """Coordination of the groups on the view's rows."""
    activation, document = evidence.at(view.condition, view.split)
    weights = document_weights(len(np.unique(document)), bootstrap, rng)
    found, _ = activation_coordination(activation, document, groups, weights, settings, rng)
    return [(view.condition, *each) for each in found]


def measured_organization(
    view: View, groups: ControlledGroups, evidence: Evidence, settings: OrganizationSettings, rng: np.random.Generator
) -> list[Named]:
    """Division of the groups into communities on the view's rows."""
    discovery, _ = evidence.at(view.condition, "discovery")
    layer = LayerActivations(*evidence.at(view.condition, view.split), discovery)
    return [
        (view.condition, name, estimate)
        for name, group in groups.items()
        for estimate in group_division(
            layer, replace(group, controls={MATCHED: group.controls[MATCHED]}), settings, rng
        )
    ]
