"""Four planted models, through the code of all measures, and the verdicts that are right for them.

``with-all``: every property of the claims. ``with-none``: none of them. ``loud``: the loudest neurons share a factor,
but matter for rare and common targets alike. ``selective``: 33 neurons serve rare targets and have nothing else in
common.

What a forward pass would give is planted. For ``with-all`` and ``with-none`` that is effects on the loss by document,
activations, weights and the result of joint ablation; for ``loud`` and ``selective`` a last layer and the residual at
every row, from which influence and joint ablation are computed (``planted_writers``). Attention is that of a
transformer built by hand. ``PYTHONPATH=tests python tests/claims/planted_models.py --seeds 20`` counts verdicts.
"""

import argparse
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pandas as pd
from claim_tables import BOUNDS, VIEW
from planted_head import planted_groups, planted_model, planted_text
from planted_writers import Writers, evidence_on_rows, independent_specialists, influence_on_rows, loud_sharers

from rareneurons.attention.estimates import AttentionEvidence, AttentionSettings, attention_estimates
from rareneurons.claims import decide
from rareneurons.conventions import SELECTIVE
from rareneurons.conventions import TOP as TOP_GROUP
from rareneurons.coordination.estimates import CoordinationSettings, activation_coordination
from rareneurons.dynamics.trends import measure_trends
from rareneurons.dynamics.untrained import beyond_untrained
from rareneurons.evidence import Evidence
from rareneurons.groups import (
    TOP_GROUPS,
    ControlledGroups,
    chosen_by_shuffled_labels,
    controlled_groups,
    groups_of_influence,
    match_quality,
    neuron_features,
    with_redrawn,
)
from rareneurons.influence.label_shuffles import LabelShuffles, label_shuffles
from rareneurons.influence.sums import InfluenceSums, influence_frame
from rareneurons.joint.estimates import JointEvidence, JointSettings, joint_estimates
from rareneurons.joint.measures import DELTA_LOSS, MATCHED_ROWS
from rareneurons.organization.activations import LayerActivations
from rareneurons.organization.estimates import group_organization
from rareneurons.organization.settings import OrganizationSettings
from rareneurons.regimes.estimates import RegimeSettings, plateau_estimates
from rareneurons.rows import in_condition
from rareneurons.spectra.estimates import SpectraSettings, spectra_estimates
from rareneurons.stats import document_weights, frame_of_tests
from rareneurons.tables import DIFFERENCE, EXCESS, CheckpointName, Draws, Estimate, draws_frame, measure_frame

STEPS = (0, 1, 2, 4, 8, 16, 32, 64, 128)  # nine, so that a trend can be told from chance after adjustment
PAIR = (VIEW.condition, VIEW.contrast)
BOOST, SUPPRESS, TOP, WIDTH = 1200, 200, 33, 48
BLOCKS, ROWS = 60, 900
DRAWS = 40
CONTROLS, EARLY_CONTROLS = 199, 40  # groups of each kind at the last checkpoint, and at those before it
SELECTIVITY_ERROR = 0.006  # nats
CUTS = (3.5, 5.5)
REGIMES = RegimeSettings(CUTS, DRAWS, 199, BOUNDS.plateau_alpha, BOUNDS.flatness, BOUNDS.excess, 0.5, 50, (TOP,))
COORDINATION = CoordinationSettings(row_shares=())
ORGANIZATION = OrganizationSettings(DRAWS, 20, 3, [1.0], 20, 200, 30)
ATTENTION = AttentionSettings(30, 8, 5, 8, 200, 50, 0.05)
JOINT = JointSettings(rows=500, pairs=500, controls=50, doses=())

YES, NO, OPEN = "supported", "contradicted", "undecided"
ABOUT_TOP = ("C3", "C4", "C5", "C7")  # claims about rare-token neurons
# Verdicts that are right. What C6 and the claims about rare-token neurons would be about is absent from ``loud``: there
# are no neurons that matter more for rare targets, and nothing whose rise could be gradual.
RIGHT: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "with-all": dict.fromkeys(("C1", "C2", "C8", *ABOUT_TOP, "C6"), (YES,)),
    "with-none": dict.fromkeys(("C1", "C2", "C8", "C6"), (NO,)) | dict.fromkeys(ABOUT_TOP, (OPEN,)),
    # Supported would be wrong for C3. It may be contradicted: loud neurons' dimension is lower, but by too little.
    "loud": dict.fromkeys(ABOUT_TOP, (OPEN,))
    | {"C1": (YES, OPEN), "C2": (NO, OPEN), "C8": (NO, OPEN), "C3": (NO, OPEN), "C6": (OPEN,)},
    "selective": {
        "C1": (NO, OPEN),
        "C2": (NO, OPEN),
        "C8": (YES,),
        "C3": (NO, OPEN),
        "C4": (YES, OPEN),
        "C5": (YES, OPEN),
        "C7": (NO, OPEN),
        "C6": (YES, OPEN),
    },
}


PERMUTATIONS = 999  # of a trend


@dataclass(frozen=True)
class Planted:
    """What one checkpoint is made of, where effects are planted.

    ``rare`` and ``common`` (N,): mean effects, nats; ``heldout`` and ``discovery`` (rows, N): activations; ``weight``
    (N, d).
    """

    rare: np.ndarray
    common: np.ndarray
    heldout: np.ndarray
    discovery: np.ndarray
    weight: np.ndarray


@dataclass(frozen=True)
class Seen:
    """What the measures see of a checkpoint.

    ``sums``: ``<condition>/<split>`` -> effects by block of documents; ``shuffles``: influence under exchanged labels;
    ``heldout`` and ``discovery`` (rows, N): activations on rare rows, of ``document`` (rows,) and of others;
    ``joint``: what joint ablation needs, where it is not planted.
    """

    sums: Mapping[str, InfluenceSums]
    shuffles: LabelShuffles
    heldout: np.ndarray
    discovery: np.ndarray
    document: np.ndarray
    weight: np.ndarray
    joint: JointEvidence | None = None


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


def seen_of_planted(planted: Planted, n_shuffles: int, seed: int) -> Seen:
    """Effects of documents scattered about the planted ones, the same documents at every checkpoint."""
    rng = np.random.default_rng([seed, 1])
    sums = {
        f"{condition}/{split}": sums_with(effects, rng)
        for condition, effects in zip(PAIR, (planted.rare, planted.common), strict=True)
        for split in ("discovery", "heldout")
    }
    shuffles = shuffles_of(sums, n_shuffles, np.random.default_rng([seed, 5]))
    document = np.arange(ROWS) * BLOCKS // ROWS
    return Seen(sums, shuffles, planted.heldout, planted.discovery, document, planted.weight)


def seen_of_writers(writers: Writers, name: CheckpointName, n_shuffles: int, seed: int) -> Seen:
    """Effects computed from the last layer, on the same text at every checkpoint."""
    layer, evidence = evidence_on_rows(writers, 2 * DRAWS, np.random.default_rng([seed, 1]))
    evidence = replace(evidence, checkpoint=name)
    sums, shuffles = influence_on_rows(layer, evidence, n_shuffles, np.random.default_rng([seed, 5]))
    heldout, discovery = (in_condition(evidence.rows, PAIR[0], split) for split in ("heldout", "discovery"))
    activation, document = evidence.activation, evidence.rows["document"].to_numpy()
    return Seen(sums, shuffles, activation[heldout], activation[discovery], document[heldout], writers.weight, evidence)


def measured(name: CheckpointName, seen: Seen, last: bool, seed: int) -> dict[str, pd.DataFrame]:
    """The measures' tables of one checkpoint, as the scripts make them, and ``draws``.

    Verdicts read the last checkpoint, and of those before it only spectra and joint ablation.
    """
    rng = np.random.default_rng([seed, 6])
    n_controls = CONTROLS if last else EARLY_CONTROLS
    features = neuron_features(seen.discovery, seen.weight)
    influence = influence_frame(name, 1, seen.sums)
    frame, controls = groups_of_influence(influence, PAIR[0], CUTS, features, n_controls, rng, seen.shuffles)
    groups = {key: each for key, each in controlled_groups(frame, controls).items() if key in TOP_GROUPS}
    groups = {key: replace(each, controls=_of_claims(each.controls)) for key, each in groups.items()}
    weights = document_weights(len(seen.sums["rare/discovery"].n_rows), DRAWS, np.random.default_rng([seed, 4]))
    evidence = Evidence(name, PAIR, last_layer={"output_weight": seen.weight})
    redrawn = with_redrawn(groups, (seen.sums["rare/discovery"], seen.sums["common/discovery"]), weights)
    spectra = spectra_estimates(evidence, redrawn, SpectraSettings(10), rng)
    tables, draws = {"spectra": spectra.table, "groups": name.labelled(frame)}, [spectra.draws]
    if seen.joint is not None:
        joint = joint_estimates(seen.joint, groups, JOINT, np.random.default_rng([seed, 7]))
        tables["joint"] = joint.table
        draws.append(joint.draws)
    if last:
        match = [*match_quality(PAIR[0], frame, controls, features), *chosen_by_shuffled_labels(PAIR[0], groups)]
        tables["group_match"] = measure_frame(name, match)
        tables |= measured_at_the_end(name, seen, groups, rng)
    return tables | {"draws": pd.concat(draws)}


def _of_claims(controls: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The kinds of controls that claims compare with."""
    return {kind: drawn for kind, drawn in controls.items() if kind in (VIEW.controls, "shuffled")}


def measured_at_the_end(
    name: CheckpointName, seen: Seen, groups: ControlledGroups, rng: np.random.Generator
) -> dict[str, pd.DataFrame]:
    """The tables that verdicts read of the last checkpoint alone."""
    _, document = np.unique(seen.document, return_inverse=True)
    weights = document_weights(document.max() + 1, DRAWS, rng)
    coordination, _ = activation_coordination(seen.heldout, document, groups, weights, COORDINATION, rng)
    layer = LayerActivations(seen.heldout, document, seen.discovery)
    divisions = [
        (PAIR[0], group_name, estimate)
        for group_name, group in groups.items()
        for estimate in group_organization(layer, group, ORGANIZATION, rng)
    ]
    return {
        "regimes": measure_frame(name, plateau_estimates(seen.sums, PAIR, REGIMES, rng)),
        "coordination": frame_of_tests(name, [(PAIR[0], *each) for each in coordination]),
        "organization": frame_of_tests(name, divisions),
    }


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


@cache
def planted_attention(checkpoint: str, with_head: bool, seed: int) -> pd.DataFrame:
    """The attention table of a transformer with, or without, a head that routes rare tokens to ten neurons."""
    name = CheckpointName("", checkpoint)
    blocks, rows = planted_text(seed, n_documents=150)
    evidence = AttentionEvidence(name, PAIR, rows, architecture=planted_model(seed, with_head), blocks=blocks)
    own = planted_groups(seed, 60)["plateau"]
    groups = dict.fromkeys(TOP_GROUPS, own)
    return attention_estimates(evidence, groups, ATTENTION, np.random.default_rng(seed)).table


def seen_at(model: str, number: int, name: CheckpointName, n_shuffles: int, seed: int) -> Seen:
    """A checkpoint of a planted model, with the same neurons at every checkpoint."""
    rng, strength = np.random.default_rng([seed, 0]), number / (len(STEPS) - 1)
    if model == "with-all":
        return seen_of_planted(with_all(strength, rng), n_shuffles, seed)
    if model == "with-none":
        return seen_of_planted(with_none(name.step, rng), n_shuffles, seed)
    writers = loud_sharers if model == "loud" else independent_specialists
    return seen_of_writers(writers(strength, rng), name, n_shuffles, seed)


def planted_run(seed: int, model: str) -> Mapping[str, pd.DataFrame]:
    """The tables that verdicts on a planted model are drawn from."""
    names = [CheckpointName(model, f"step{step}") for step in STEPS]
    found = []
    for number, name in enumerate(names):
        last = name is names[-1]
        seen = seen_at(model, number, name, CONTROLS if last else EARLY_CONTROLS, seed)
        found.append(measured(name, seen, last, seed))
    tables = {kind: pd.concat([each[kind] for each in found if kind in each]) for kind in found[-1]}
    draws, planted_joint = tables.pop("draws"), "joint" not in tables
    if planted_joint:
        tables["joint"], joint_draws = planted_selectivity(names, model == "with-all", seed)
        draws = pd.concat([draws, joint_draws])
    measures = [tables["spectra"], tables["joint"]]
    trends = measure_trends(measures, draws, PERMUTATIONS, np.random.default_rng(seed))
    dynamics = [trends, beyond_untrained(tables["joint"], draws)]
    if planted_joint:
        tables["joint"] = selectivity_at_the_end(names[-1], model == "with-all")
    audit = pd.DataFrame({"model": model, "step": STEPS, "finding": "ok", "left_out": False})
    return tables | {
        "dynamics": pd.concat(dynamics),
        "attention": planted_attention(names[-1].checkpoint, model == "with-none", seed).assign(model=model),
        "audit": audit.assign(checkpoint=[name.checkpoint for name in names]),
    }


def verdicts_of(seed: int, model: str) -> dict[str, str]:
    """Claim -> verdict on a planted model, of the claims of which it is known what is right."""
    claims = decide(planted_run(seed, model), VIEW, BOUNDS).set_index("claim")
    return {str(claim): str(claims.loc[claim, "verdict"]) for claim in RIGHT[model]}


def is_right(model: str, verdicts: Mapping[str, str]) -> bool:
    """Whether every verdict is right."""
    return all(verdict in RIGHT[model][claim] for claim, verdict in verdicts.items())


def table_of_counts(found: Mapping[str, Sequence[Mapping[str, str]]]) -> str:
    """Markdown: how often each verdict was given for each claim, and in how many seeds all were right."""
    lines = [f"| claim | {' | '.join(found)} |", "|---|" + "---|" * len(found)]
    for claim in RIGHT["with-all"]:
        counts = (Counter(verdicts[claim] for verdicts in seeds) for seeds in found.values())
        cells = [", ".join(f"{verdict} {n}" for verdict, n in each.most_common()) for each in counts]
        lines.append(f"| {claim} | {' | '.join(cells)} |")
    rights = [f"{sum(is_right(model, each) for each in seeds)} of {len(seeds)}" for model, seeds in found.items()]
    return "\n".join([*lines, f"| all right | {' | '.join(rights)} |"])


def main() -> None:
    """Count."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=100)
    asked = parser.parse_args()
    seeds = range(asked.first, asked.first + asked.seeds)
    print(table_of_counts({model: [verdicts_of(seed, model) for seed in seeds] for model in RIGHT}))


if __name__ == "__main__":
    main()
