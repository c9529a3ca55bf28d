"""The full set of measures, controls and tests for any set of last-MLP neurons, in memory."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from rareneurons.conventions import WITHOUT_TYPES
from rareneurons.coordination.estimates import CoordinationSettings, coordination_estimates
from rareneurons.evidence import Measured, with_document_draws
from rareneurons.groups import (
    CONTROLLED,
    ControlledGroups,
    NeuronFeatures,
    checkpoint_groups,
    controlled_groups,
    group_frame,
    likeness,
    named_groups,
    neuron_features,
    with_redrawn,
)
from rareneurons.influence.estimates import CheckpointInfluence
from rareneurons.influence.sums import blocked_arrays, sums_of_arrays
from rareneurons.inspection.effects import TracedModel, all_influence, all_properties, reference_of, traced
from rareneurons.inspection.opening import OpenModel
from rareneurons.inspection.sizes import DEFAULT, Sizes
from rareneurons.inspection.texts import (
    PAIR,
    BandOfTypes,
    Counts,
    Question,
    Texts,
    chosen_neurons,
    chosen_rows,
)
from rareneurons.joint.estimates import JointSettings, curve_of_doses, joint_estimates, joint_evidence
from rareneurons.known_types.declared import neurons_of_known_types
from rareneurons.neuron_types.estimates import NeuronEvidence, NeuronTypeSettings, neuron_type_estimates
from rareneurons.organization.estimates import organization_estimates
from rareneurons.organization.settings import OrganizationSettings
from rareneurons.regimes.estimates import RegimeSettings, regime_estimates
from rareneurons.rows import in_condition
from rareneurons.spectra.estimates import SpectraSettings, spectra_estimates
from rareneurons.stats import document_weights
from rareneurons.tables import measure_frame

GROUP = "neurons"  # name of a set of neurons that has no other
DOCUMENT_BLOCKS = 200  # for bootstraps, at most
CUTS = (3.5, 5.5)  # the paper's fixed cuts, ln rank
REGIMES = RegimeSettings(
    CUTS, 200, 999, alpha=0.05, flatness=0.5, excess=1.5, overlap=0.5, power_draws=50, tops=(10, 33, 100)
)


@dataclass(frozen=True)
class Measurements:
    """What was measured of one checkpoint.

    ``tables``: name -> table. ``influence``, ``groups`` and ``group_match`` are always among them, then one table per
    measure. ``products``: ``neurons``, every neuron's properties and known types, and what else came of a measure, such
    as ``loss_by_frequency``. ``names``: the user's sets of neurons; none where the groups are those that the influence
    chooses.
    """

    tables: Mapping[str, pd.DataFrame]
    products: Mapping[str, pd.DataFrame]
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Measured:
    """What a measure is computed from; ``neurons``: every neuron's properties."""

    traced: TracedModel
    influence: CheckpointInfluence
    neurons: pd.DataFrame
    all_groups: ControlledGroups

    @property
    def groups(self) -> ControlledGroups:
        """The groups that every measure is about. Joint ablation and coordination look at those without types, too."""
        return {name: group for name, group in self.all_groups.items() if name not in WITHOUT_TYPES.values()}

    @property
    def sizes(self) -> Sizes:
        return self.traced.question.sizes


def _joint(given: _Measured) -> Measured:
    looked, sizes = given.traced, given.sizes
    evidence = joint_evidence(
        looked.evidence,
        looked.trace,
        reference_of(looked),
        looked.rows.frequencies,
        curve_of_doses(given.all_groups, given.influence.table, PAIR[0]),
        sizes.bootstrap,
        looked.question.generator("joint"),
    )
    settings = JointSettings(
        sizes.joint_rows,
        sizes.joint_pairs,
        sizes.joint_controls,
        device=looked.device,
        memory_bytes=int(sizes.memory_gib * 2**30),
        progress=looked.progress("joint ablation"),
    )
    return joint_estimates(evidence, given.all_groups, settings, looked.generator("joint"))


def _coordination(given: _Measured) -> Measured:
    looked = given.traced
    evidence = with_document_draws(looked.evidence, given.sizes.bootstrap, looked.question.generator("coordination"))
    return coordination_estimates(evidence, given.all_groups, CoordinationSettings(), looked.generator("coordination"))


def _organization(given: _Measured) -> Measured:
    sizes, looked = given.sizes, given.traced
    settings = OrganizationSettings(
        sizes.bootstrap, sizes.shifts, 3, (0.75, 1, 1.25), 200, sizes.rotations, sizes.plants
    )
    return organization_estimates(looked.evidence, given.groups, settings, looked.generator("organization"))


def _spectra(given: _Measured) -> Measured:
    looked = given.traced
    settings = SpectraSettings(given.sizes.spectrum_draws)
    return spectra_estimates(looked.evidence, given.groups, settings, looked.generator("spectra"))


def _neuron_types(given: _Measured) -> Measured:
    looked = given.traced
    evidence = NeuronEvidence(**vars(looked.evidence), neurons=given.neurons)
    return neuron_type_estimates(evidence, given.groups, NeuronTypeSettings(), looked.generator("neuron_types"))


FUNCTIONS: Mapping[str, Callable[[_Measured], Measured]] = {
    "joint": _joint,
    "coordination": _coordination,
    "organization": _organization,
    "spectra": _spectra,
    "neuron_types": _neuron_types,
}
MEASURES = tuple(FUNCTIONS)


def measure(
    model: OpenModel,
    texts: Texts,
    neurons: Iterable[int] | Mapping[str, Iterable[int]] | None = None,
    rare: BandOfTypes = "paper_rare",
    common: BandOfTypes = "paper_common",
    measures: Sequence[str] = MEASURES,
    counts: Counts = None,
    sizes: Sizes = DEFAULT,
    seed: int = 0,
    progress: bool = True,
) -> Measurements:
    """Measure a set of last-MLP neurons, with random and matched groups of the same size as controls.

    Args:
        model: an open model.
        texts: as for :func:`influence`.
        neurons: indices of neurons, or name -> indices for several sets. Without it, the groups that the workflow
            measures: plateaus, the top neurons and the selective ones, also with groups chosen with shuffled labels as
            controls, and the last two groups chosen without known types of neurons.
        rare: as for :func:`influence`.
        common: as for :func:`influence`.
        measures: names among ``MEASURES``.
        counts: as for :func:`influence`.
        sizes: how much is computed.
        seed: of every random draw.
        progress: whether bars are shown.

    Returns:
        The tables, see :class:`Measurements`. ``claims`` decides on them, ``figures`` draws them, ``save`` writes them.

    Raises:
        CheckpointError: the model cannot be used.
        CorpusError: the texts or counts cannot be used, or are too few.
        ConfigurationError: an index is no neuron of the layer, or occurs twice.

    Examples:
        >>> found = rareneurons.measure(
        ...     open_model, texts, [3, 5, 8, 13], rare=(0.5, 1), common=(0, 0.5), sizes=few, progress=False
        ... )
        >>> list(found.tables)
        ['influence', 'groups', 'group_match', 'joint', 'coordination', 'organization', 'spectra', 'neuron_types']
    """
    question = Question(rare, common, counts, sizes, seed)
    named = _named(model, neurons)
    looked = traced(model, chosen_rows(model, texts, question), question, progress)
    rng = looked.generator("influence")
    found = all_influence(looked, rng, shuffles=sizes.shuffles)
    properties = all_properties(looked, found, rng)
    discovery = in_condition(looked.rows.rows, PAIR[0], "discovery")
    features = neuron_features(looked.trace["activation"][discovery], looked.arrays["output_weight"])
    groups, tables = (
        _user_groups(looked, named, features) if named else _own_groups(looked, found, properties, features)
    )
    given = _Measured(looked, found, properties, groups)
    products = {"neurons": properties}
    for name in looked.progress("measures")(measures):
        measured = FUNCTIONS[name](given)
        tables[name] = measured.table
        products |= {key: value for key, value in measured.products.items() if isinstance(value, pd.DataFrame)}
    return Measurements({"influence": found.table} | tables, products, tuple(named))


def joint(
    model: OpenModel,
    texts: Texts,
    neurons: Iterable[int],
    rare: BandOfTypes = "paper_rare",
    common: BandOfTypes = "paper_common",
    counts: Counts = None,
    sizes: Sizes = DEFAULT,
    seed: int = 0,
    progress: bool = True,
) -> pd.DataFrame:
    """Change of the loss when all of some neurons are held at their means at once, compared with control groups.

    Args:
        model: an open model.
        texts: as for :func:`influence`.
        neurons: indices of neurons of the last MLP, at least three.
        rare: as for :func:`influence`.
        common: as for :func:`influence`.
        counts: as for :func:`influence`.
        sizes: how much is computed.
        seed: of every random draw.
        progress: whether bars are shown.

    Returns:
        ``tables.MEASURE_COLUMNS``: ``delta_loss``, ``kl_divergence`` (nats) and ``ln_rank_change`` of the group
        ``neurons`` on held-out rows, rare, common and their difference, with random and matched groups as controls.

    Raises:
        CheckpointError: the model cannot be used.
        CorpusError: the texts or counts cannot be used, or are too few.
        ConfigurationError: an index is no neuron of the layer, or occurs twice.

    Examples:
        >>> bands = {"rare": (0.5, 1), "common": (0, 0.5)}
        >>> table = rareneurons.joint(open_model, texts, [3, 5, 8], **bands, sizes=few, progress=False)
        >>> sorted(table.loc[table["group"] == "neurons", "against"].unique())
        ['', 'matched', 'random']
    """
    return measure(model, texts, neurons, rare, common, ("joint",), counts, sizes, seed, progress).tables["joint"]


def _named(model: OpenModel, neurons: Iterable[int] | Mapping[str, Iterable[int]] | None) -> dict[str, np.ndarray]:
    if neurons is None:
        return {}
    sets = neurons if isinstance(neurons, Mapping) else {GROUP: neurons}
    return {name: chosen_neurons(model, members) for name, members in sets.items()}


def _user_groups(
    looked: TracedModel, named: Mapping[str, np.ndarray], features: NeuronFeatures
) -> tuple[ControlledGroups, dict[str, pd.DataFrame]]:
    groups = named_groups(named, features, looked.question.sizes.controls, looked.generator("groups"))
    name, layer = looked.model.name, int(looked.trace["layer"][0])
    match = measure_frame(name, likeness(PAIR[0], groups, features))
    return groups, {"groups": name.labelled(group_frame(named, layer, PAIR[0])), "group_match": match}


def _own_groups(
    looked: TracedModel, found: CheckpointInfluence, properties: pd.DataFrame, features: NeuronFeatures
) -> tuple[ControlledGroups, dict[str, pd.DataFrame]]:
    """The workflow's groups of a checkpoint; intervals of spectra are over those that resampled documents choose."""
    sizes, name = looked.question.sizes, looked.model.name
    chosen = checkpoint_groups(
        name,
        found.table,
        PAIR[0],
        CUTS,
        features,
        sizes.controls,
        looked.generator("groups"),
        found.shuffles,
        neurons_of_known_types(properties),
    )
    groups = controlled_groups(chosen.groups, chosen.controls, CONTROLLED)
    others = {name: group for name, group in groups.items() if name in WITHOUT_TYPES.values()}
    measured = {name: group for name, group in groups.items() if name not in others}
    sums = sums_of_arrays(blocked_arrays(found.by_document, DOCUMENT_BLOCKS))
    rare, common = (sums[f"{condition}/discovery"] for condition in PAIR)
    weights = document_weights(len(rare.n_rows), sizes.spectrum_draws, looked.question.generator("spectra"))
    settings = replace(REGIMES, bootstrap=sizes.bootstrap, null_curves=sizes.null_curves, power_draws=sizes.power_draws)
    regimes = regime_estimates(sums, PAIR, settings, looked.generator("regimes"))
    return with_redrawn(measured, (rare, common), weights) | others, {
        "groups": chosen.groups,
        "group_match": chosen.match,
        "regimes": measure_frame(name, regimes),
    }
