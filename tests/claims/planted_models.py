"""Planted models: one that has all properties of the claims and one that has none, through the measures' code.

What a forward pass would give is planted: effects on the loss by document, activations, weights, at several training
steps; and, for attention, a transformer built by hand. Everything after that is what runs on real models.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from claim_tables import BOUNDS, VIEW
from planted_head import planted_groups, planted_model, planted_text

from rareneurons.attention.estimates import AttentionEvidence, AttentionSettings, attention_estimates
from rareneurons.conventions import SELECTIVE
from rareneurons.conventions import TOP as TOP_GROUP
from rareneurons.coordination.estimates import CoordinationSettings, activation_coordination
from rareneurons.dynamics.trends import first_plateau_steps, measure_trends
from rareneurons.evidence import Evidence
from rareneurons.groups import controlled_groups, groups_of_influence, match_quality, neuron_features, with_redrawn
from rareneurons.influence.label_shuffles import LabelShuffles, label_shuffles
from rareneurons.influence.sums import InfluenceSums, influence_frame
from rareneurons.joint.measures import DELTA_LOSS, MATCHED_ROWS
from rareneurons.organization.activations import LayerActivations
from rareneurons.organization.estimates import group_organization
from rareneurons.organization.settings import OrganizationSettings
from rareneurons.regimes.estimates import RegimeSettings, regime_estimates, trending_draws
from rareneurons.spectra.estimates import SpectraSettings, spectra_estimates
from rareneurons.stats import document_weights, frame_of_tests
from rareneurons.tables import DIFFERENCE, EXCESS, CheckpointName, Draws, Estimate, draws_frame, measure_frame

STEPS = (0, 1, 2, 4, 8, 16, 32)
PAIR = (VIEW.condition, VIEW.contrast)
BOOST, SUPPRESS, TOP, WIDTH = 1200, 200, 33, 48
BLOCKS, ROWS = 60, 900
DRAWS = 40
SELECTIVITY_ERROR = 0.006  # nats
CUTS = (3.5, 5.5)
REGIMES = RegimeSettings(CUTS, DRAWS, 199, BOUNDS.plateau_alpha, BOUNDS.flatness, BOUNDS.excess, 0.5, 15, (TOP,))
ORGANIZATION = OrganizationSettings(DRAWS, 20, 3, [1.0], 20, 200, 30)
ATTENTION = AttentionSettings(30, 8, 5, 8, 200, 50, 0.05)


@dataclass(frozen=True)
class Planted:
    """What one checkpoint is made of.

    ``rare`` and ``common`` (N,): mean effects, nats; ``heldout`` and ``discovery`` (rows, N): activations; ``weight``
    (N, d).
    """

    rare: np.ndarray
    common: np.ndarray
    heldout: np.ndarray
    discovery: np.ndarray
    weight: np.ndarray


def with_plateau() -> np.ndarray:
    """Ln effects of the boost neurons by rank: flat for 33, then a power law, then a decay."""
    x = np.log(np.arange(1, BOOST + 1))
    return -0.9 * np.clip(x - np.log(TOP), 0, None) - 1.2 * np.clip(x - 6, 0, None)


def without_plateau(rng: np.random.Generator) -> np.ndarray:
    """Order statistics of a power law that turns into a steeper one."""
    x = np.log(BOOST * rng.random(BOOST) + 0.5)
    return -np.sort(0.7 * x + 1.2 * np.clip(x - 6, 0, None))


def layer_effects(ln_boost: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Effects (N,) in nats: boost neurons by ``order``, then suppressing neurons."""
    effects = np.full(BOOST + SUPPRESS, -0.002)
    effects[order] = 0.02 * np.exp(ln_boost)
    return effects


def in_common(values: np.ndarray, members: np.ndarray, share: float, rng: np.random.Generator) -> None:
    """Give neurons a share of their variance in common, in place."""
    factor = rng.normal(size=(len(values), 1))
    values[:, members] = np.sqrt(1 - share) * values[:, members] + np.sqrt(share) * factor


def with_all(strength: float, rng: np.random.Generator) -> Planted:
    """A checkpoint of the model that has all properties, the more the larger ``strength`` (0 to 1) is.

    Rare effects have a plateau and common ones none; these are larger, so that shuffled labels choose the neurons that
    matter for common targets. The plateau's neurons share one factor, which is no division into clusters, and a
    direction of their weights, whose norms are those of other neurons.
    """
    order = rng.permutation(BOOST)
    top, n_neurons = order[:TOP], BOOST + SUPPRESS
    activations = []
    for _ in range(2):
        values = rng.normal(size=(ROWS, n_neurons))
        in_common(values, top, 0.8 * strength, rng)
        activations.append(values)
    weight = rng.normal(size=(n_neurons, WIDTH))
    norm = np.linalg.norm(weight[top], axis=1, keepdims=True)
    weight[top] += 1.5 * strength * rng.normal(size=WIDTH)
    weight[top] *= norm / np.linalg.norm(weight[top], axis=1, keepdims=True)
    rare = layer_effects(strength * with_plateau(), order)
    common = 60 * layer_effects(without_plateau(rng), rng.permutation(BOOST))
    return Planted(rare, common, *activations, weight)


def with_none(step: int, rng: np.random.Generator) -> Planted:
    """A checkpoint of the model that has none of them, at any step.

    Common effects have a plateau and rare ones none; the most influential neurons form three clusters while all others
    share one factor, so that they have more dimensions than these; no weights share a direction.
    """
    order = rng.permutation(BOOST)
    top, n_neurons = order[:TOP], BOOST + SUPPRESS
    activations = []
    for _ in range(2):
        values = rng.normal(size=(ROWS, n_neurons))
        in_common(values, np.setdiff1d(np.arange(n_neurons), top), 0.6, rng)
        for cluster in np.split(top, 3):
            in_common(values, cluster, 0.5, rng)
        activations.append(values)
    weight = rng.normal(size=(n_neurons, WIDTH))
    rare, common = layer_effects(without_plateau(rng), order), layer_effects(with_plateau(), rng.permutation(BOOST))
    drift = np.random.default_rng(step)  # a model that nothing happens to is not the same at every step
    activations = [values + 0.05 * drift.normal(size=values.shape) for values in activations]
    return Planted(rare, common, *activations, weight + 0.01 * drift.normal(size=weight.shape))


def sums_with(effects: np.ndarray, rng: np.random.Generator) -> InfluenceSums:
    """Effects by blocks of documents, which scatter by a third around each neuron's own."""
    n_rows = np.full(BLOCKS, 25)
    signed = n_rows[:, None] * effects * rng.normal(1, 0.3, size=(BLOCKS, len(effects)))
    return InfluenceSums(np.arange(BLOCKS), n_rows, signed, np.abs(signed))


def shuffles_of(sums: Mapping[str, InfluenceSums], n_shuffles: int, rng: np.random.Generator) -> LabelShuffles:
    """Labels exchanged within blocks of discovery documents: a block's rows of either label trade places, or not."""
    pair = [sums[f"{condition}/discovery"] for condition in PAIR]
    effects = np.concatenate([each.signed / each.n_rows[:, None] for each in pair])
    labels = np.repeat(np.eye(2, dtype=bool), BLOCKS, axis=0)
    return label_shuffles(effects, np.tile(np.arange(BLOCKS), 2), labels, n_shuffles, rng)


def measured(name: CheckpointName, planted: Planted, last: bool, seed: int) -> dict[str, pd.DataFrame]:
    """The measures' tables of one checkpoint, as the scripts make them, and ``draws``."""
    rng = np.random.default_rng([seed, 1])  # the same documents at every checkpoint
    sums = {
        f"{condition}/{split}": sums_with(effects, rng)
        for condition, effects in zip(PAIR, (planted.rare, planted.common), strict=True)
        for split in ("discovery", "heldout")
    }
    settings = REGIMES if last else replace(REGIMES, bootstrap=2, null_curves=19, power_draws=0)
    regimes = measure_frame(name, regime_estimates(sums, PAIR, settings, rng))
    found_draws = [trending_draws(name, sums, PAIR, REGIMES, np.random.default_rng([seed, 2]))]
    features = neuron_features(planted.discovery, planted.weight)
    influence = influence_frame(name, 1, sums)
    shuffles = shuffles_of(sums, 399, np.random.default_rng([seed, 5]))
    chosen = influence, PAIR[0], CUTS, features, 399, np.random.default_rng([seed, 3]), shuffles
    frame, controls = groups_of_influence(*chosen)
    groups = controlled_groups(frame, controls)
    document = np.arange(ROWS) * BLOCKS // ROWS
    weights = document_weights(BLOCKS, DRAWS, np.random.default_rng([seed, 4]))
    activity = planted.heldout, document, groups, weights
    estimates, by_group = activation_coordination(*activity, CoordinationSettings(), rng)
    found_draws.append(draws_frame(name, [(PAIR[0], *each) for each in by_group]))
    evidence = Evidence(name, PAIR, last_layer={"output_weight": planted.weight})
    redrawn = with_redrawn(groups, (sums["rare/discovery"], sums["common/discovery"]), weights)
    spectra = spectra_estimates(evidence, redrawn, SpectraSettings(10), rng)
    found_draws.append(spectra.draws)
    tables = {
        "regimes": regimes,
        "groups": name.labelled(frame),
        "group_match": measure_frame(name, match_quality(PAIR[0], frame, controls, features)),
        "coordination": frame_of_tests(name, [(PAIR[0], *each) for each in estimates]),
        "spectra": spectra.table,
        "draws": pd.concat(found_draws),
    }
    if last:
        layer = LayerActivations(planted.heldout, document, planted.discovery)
        found = [
            (PAIR[0], group_name, estimate)
            for group_name, group in groups.items()
            for estimate in group_organization(layer, group, ORGANIZATION, rng)
        ]
        tables["organization"] = frame_of_tests(name, found)
    return tables


def planted_selectivity(names, has_all: bool, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What joint ablation gives for the top neurons, rare less common beyond matched groups, and its draws.

    It grows through all of training, or jumps between two checkpoints; documents scatter it by a fiftieth.
    """
    rng = np.random.default_rng([seed, 5])
    growth = np.arange(len(names)) / (len(names) - 1) if has_all else np.array([name.step > 4 for name in names])
    values = 0.3 * growth + SELECTIVITY_ERROR * rng.normal(size=len(names))
    number = {"part": MATCHED_ROWS, "quantity": EXCESS, "against": VIEW.controls}
    tables, draws = [], []
    for name, value in zip(names, values, strict=True):
        place = VIEW.difference, TOP_GROUP
        tables.append(measure_frame(name, [(*place, Estimate(DELTA_LOSS, value, "nats", ROWS, **number))]))
        drawn = value + SELECTIVITY_ERROR * rng.normal(size=100)
        draws.append(draws_frame(name, [(*place, Draws(DELTA_LOSS, drawn, **number))]))
    return pd.concat(tables), pd.concat(draws)


def selectivity_at_the_end(name: CheckpointName, has_all: bool) -> pd.DataFrame:
    """What C8 reads: an excess of the top neurons in the model that has all, none of either group in the other."""
    names, found = {"part": MATCHED_ROWS, "against": VIEW.controls}, []
    for group, value in ((TOP_GROUP, 0.3 if has_all else 0.0), (SELECTIVE, 0.0)):
        ends = value - 2 * SELECTIVITY_ERROR, value + 2 * SELECTIVITY_ERROR
        numbers = value, "nats", ROWS, *ends, 1e-6 if value else 1.0
        both = (Estimate(DELTA_LOSS, *numbers, quantity=quantity, **names) for quantity in (EXCESS, DIFFERENCE))
        found += [(VIEW.difference, group, each) for each in both]
    return measure_frame(name, found)


def planted_attention(name: CheckpointName, with_head: bool, seed: int) -> pd.DataFrame:
    """The attention table of a transformer with, or without, a head that routes rare tokens to ten neurons."""
    blocks, rows = planted_text(seed, n_documents=150)
    evidence = AttentionEvidence(name, PAIR, rows, architecture=planted_model(seed, with_head), blocks=blocks)
    own = planted_groups(seed, 60)["plateau"]
    groups = {"plateau": own, "top_33": own}
    return attention_estimates(evidence, groups, ATTENTION, np.random.default_rng(seed)).table


def planted_run(seed: int, has_all: bool) -> Mapping[str, pd.DataFrame]:
    """The tables that verdicts on a planted model are drawn from."""
    model = "with-all" if has_all else "with-none"
    names = [CheckpointName(model, f"step{step}") for step in STEPS]
    found = []
    for number, name in enumerate(names):
        rng = np.random.default_rng([seed, 0])  # the same neurons at every checkpoint
        planted = with_all(number / (len(STEPS) - 1), rng) if has_all else with_none(name.step, rng)
        found.append(measured(name, planted, name is names[-1], seed))
    tables = {kind: pd.concat([each[kind] for each in found if kind in each]) for kind in found[-1]}
    draws = tables.pop("draws")
    joint, joint_draws = planted_selectivity(names, has_all, seed)
    measures = [tables["regimes"], tables["coordination"], tables["spectra"], joint]
    trends = measure_trends(measures, pd.concat([draws, joint_draws]), 400, np.random.default_rng(seed))
    audit = pd.DataFrame({"model": model, "step": STEPS, "finding": "ok", "left_out": False})
    return tables | {
        "dynamics": pd.concat([trends, first_plateau_steps(tables["regimes"])]),
        "joint": selectivity_at_the_end(names[-1], has_all),
        "attention": planted_attention(names[-1], not has_all, seed),
        "audit": audit.assign(checkpoint=[name.checkpoint for name in names]),
    }
