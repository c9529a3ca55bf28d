"""What the verdicts read of a checkpoint, measured anew under each of the authors' choices."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from rareneurons.comparison.choices import HEAD, READ, Choice, choices_for
from rareneurons.coordination.estimates import activation_coordination
from rareneurons.groups import FIXED_PREFIX, HEADS, Controlled, controlled_groups, groups_of_influence, neuron_features
from rareneurons.influence.sums import InfluenceSums
from rareneurons.organization.group import Effort, LayerActivations, group_organization
from rareneurons.regimes.curve import rank_curve
from rareneurons.regimes.estimates import RegimeSettings, regime_estimates, unit_of
from rareneurons.regimes.fixed import fixed_cuts
from rareneurons.stats import document_weights, percentile_interval
from rareneurons.tables import PLATEAU_TEST, CheckpointName, Estimate, measure_frame

Named = tuple[str, str, Estimate]  # condition, group, estimate


@dataclass(frozen=True)
class Evidence:
    """A checkpoint as choices are measured on it.

    ``activation`` (rows, N) of the last MLP; ``document`` (rows,); ``masks``: ``<condition>/<split>`` -> (rows,);
    ``sums``: likewise -> effects by block of documents; ``influence``, ``groups``, ``controls``: the checkpoint's
    tables; ``output_weight`` (N, d).
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
    """What the verdicts read, under each choice that needs more than the run's tables.

    Args:
        name: the checkpoint.
        evidence: of the checkpoint.
        settings: conditions, draws, searches.
        rng: draws controls, documents, null curves and searches.

    Returns:
        ``choice``, ``table``, ``reason`` and ``MEASURE_COLUMNS``. Rows are named as the verdicts expect them: the
        choice's condition as the first of the pair, its controls as ``matched``, its head as ``plateau``.
    """
    frames = []
    for choice in choices_for(settings.by_input):
        condition = str(settings.by_input) if choice.input_band else settings.pair[0]
        split = "discovery" if choice.reused_documents else "heldout"
        measured: dict[str, list[Named]] = {}
        if choice.input_band or choice.fixed_cuts or choice.reused_documents:
            measured["regimes"] = list(_regimes(choice, condition, split, evidence, settings, rng))
        if choice.input_band or choice.random_controls or choice.reused_documents:
            groups = _heads(choice, condition, evidence, settings, rng)
            masks = evidence.masks[f"{condition}/{split}"], evidence.masks[f"{condition}/discovery"]
            measured["coordination"] = _coordination(masks[0], groups, evidence, settings, rng)
            measured["organization"] = _organization(*masks, groups, evidence, settings, rng)
        for table, found in measured.items():
            kept = [each for each in found if each[2].measure.startswith(READ[table])]
            reasons = [estimate.reason for *_, estimate in kept]
            frames.append(measure_frame(name, kept).assign(choice=choice.name, table=table, reason=reasons))
    return pd.concat(frames, ignore_index=True)


def _regimes(
    choice: Choice, condition: str, split: str, evidence: Evidence, settings: Settings, rng: np.random.Generator
) -> Iterator[Named]:
    """The boost curves of both conditions."""
    pair, given = settings.pair, settings.regimes
    described = {name: evidence.sums[f"{other}/{split}"] for name, other in ((pair[0], condition), (pair[1], pair[1]))}
    if choice.fixed_cuts:
        weights = document_weights(len(described[pair[0]].n_rows), given.bootstrap, rng)
        for name, found in described.items():
            yield name, "boost", fixed_flatness(found, weights, given.cuts)
            # Whatever comes before the first cut is called a plateau.
            yield name, "boost", Estimate(PLATEAU_TEST, 1.0, unit_of("test.plateau"), len(found.n_rows))
        return
    sums = {f"{name}/heldout": found for name, found in described.items()}
    chosen = {pair[0]: condition, pair[1]: pair[1]}
    sums |= {f"{name}/discovery": evidence.sums[f"{other}/discovery"] for name, other in chosen.items()}
    yield from regime_estimates(sums, pair, given, rng, ["boost"], ["mean_abs"])


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
    return Estimate("mean_abs.auto.flatness", value, unit_of("auto.flatness"), len(sums.n_rows), *interval)


def _heads(
    choice: Choice, condition: str, evidence: Evidence, settings: Settings, rng: np.random.Generator
) -> Controlled:
    """The heads of the choice's discovery curve, with the choice's controls under ``matched``."""
    groups, controls = evidence.groups, evidence.controls
    if choice.input_band:
        features = neuron_features(
            evidence.activation[evidence.masks[f"{condition}/discovery"]], evidence.output_weight
        )
        cuts = settings.regimes.cuts
        groups, controls = groups_of_influence(evidence.influence, condition, cuts, features, settings.controls, rng)
    found = controlled_groups(groups, controls)
    kind = "random" if choice.random_controls else "matched"
    names = {f"{FIXED_PREFIX}{HEAD}": HEAD} if choice.fixed_cuts else {name: name for name in HEADS}
    return {
        names[name]: (members, {"matched": drawn[kind]}) for name, (members, drawn) in found.items() if name in names
    }


def _coordination(
    rows: np.ndarray, groups: Controlled, evidence: Evidence, settings: Settings, rng: np.random.Generator
) -> list[Named]:
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
) -> list[Named]:
    layer = LayerActivations(evidence.activation[rows], evidence.document[rows], evidence.activation[discovery])
    effort = replace(settings.organization, shifts=1, pairs=1)  # of these no verdict reads anything
    return [
        (settings.pair[0], name, replace(finding.estimate, reason=finding.reason))
        for name, (members, controls) in groups.items()
        for finding in group_organization(layer, members, {"matched": list(controls["matched"])}, effort, rng)
    ]
