"""Other choices that ought not to matter: each is a whole run with that choice as its own; firm and loose verdicts."""

import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from conftest import PROJECT
from planted_layers import layer_of, sampled

from rareneurons.claims import View
from rareneurons.claims.selectivity import decide_selectivity
from rareneurons.comparison.choices import RECOMPUTED, Choice, firmness_choices
from rareneurons.comparison.firmness_measures import (
    FirmnessSettings,
    InfluenceSettings,
    TracedCheckpoint,
    chosen_rows,
    firmness_measures,
)
from rareneurons.conventions import SELECTIVE, TOP
from rareneurons.coordination.estimates import CoordinationSettings, activation_coordination
from rareneurons.dynamics.untrained import beyond_untrained
from rareneurons.groups import controlled_groups, groups_of_influence, neuron_features
from rareneurons.influence.label_shuffles import EffectsAtRows, label_shuffles
from rareneurons.influence.last_mlp import influence_by_document, reference_values
from rareneurons.influence.sums import blocked_arrays, influence_frame, sums_of_arrays
from rareneurons.joint import estimates as joint
from rareneurons.models.last_layer import LastLayer
from rareneurons.organization.activations import LayerActivations
from rareneurons.organization.estimates import group_division
from rareneurons.organization.settings import OrganizationSettings
from rareneurons.regimes.estimates import RegimeSettings, regime_estimates
from rareneurons.rows import condition_split_masks, in_condition, labels_of
from rareneurons.stats import document_weights
from rareneurons.tables import CheckpointName, measure_frame, rows_of

sys.path.append(str(PROJECT / "tests/claims"))
from claim_tables import BOUNDS

PAIR = ("rare", "common")
N, ROWS, DOCUMENTS, WRITERS, VOCABULARY, WIDTH = 240, 1600, 80, 33, 60, 24
REGIMES = RegimeSettings((3.5, 5.5), 12, 399, 0.05, 0.5, 1.5, 0.5, 0, (5,))
ORGANIZATION = OrganizationSettings(12, 20, 1, [1], 10, 20, 2)
JOINT = joint.JointSettings(rows=60, pairs=300, controls=8, doses=())
SETTINGS = FirmnessSettings(
    InfluenceSettings("mean", "total", 1e-5, shuffles=12),
    40,
    REGIMES,
    12,
    JOINT,
    40,
    CoordinationSettings(),
    12,
    ORGANIZATION,
    0.5,
)
ALL = {
    "references": ["mean", "zero", "resample"],
    **dict.fromkeys(("other_band", "other_split", "swapped_split", "half_documents", "other_statistic"), True),
}
CONDITIONS = [{"name": "rare", "preset": "paper_rare"}, {"name": "common", "band": [0, 0.1]}]
OTHER = {"name": "other", "band": [0.5, 1]}
CHOICES = {
    choice.name: choice
    for choice in firmness_choices(ALL, "mean", [*CONDITIONS, {**OTHER, "name": "in", "by": "input"}, OTHER], PAIR)
}


def planted(rng, name="step16", still=False, strength=1.0):
    """Rows, and a checkpoint whose first neurons write the rare half of the vocabulary where the target is rare.

    Most positions of a text are like the common rows, where these neurons rest: references are means over those.
    ``still``: they write it at all rows alike, so that their mean is all they do.
    """
    unembedding = rng.normal(size=(VOCABULARY, WIDTH)) / np.sqrt(WIDTH)
    unembedding[:, 0] = np.repeat([-0.5, 0.5], VOCABULARY // 2)
    weight = np.column_stack([np.zeros(N), 0.03 * rng.normal(size=(N, WIDTH))])
    weight[:WRITERS, 1] += 0.05 * strength
    rare = np.arange(ROWS) % 4 == 0
    activation = rng.normal(size=(ROWS, N))
    activation[:, :WRITERS] *= 0.01 if still else 1
    activation[:, :WRITERS] += strength * (np.ones(ROWS) if still else 2.0 * rare)[:, None]
    stream = 1.5 * rng.normal(size=(ROWS, WIDTH))
    logits = (stream + activation @ weight[:, 1:]) @ unembedding.T
    half = np.arange(VOCABULARY) >= VOCABULARY // 2
    target = sampled(np.where(half == rare[:, None], logits, -np.inf), rng)
    layer = layer_of(weight, unembedding)
    residual = np.column_stack([np.full(ROWS, 30.0), stream]) + activation @ weight
    document = np.arange(ROWS) * DOCUMENTS // ROWS
    rows = pd.DataFrame({"document": document, "position": 3 + np.arange(ROWS) % 20, "target": target})
    rows = rows.assign(
        split=np.where(document % 3 == 0, "heldout", "discovery"),
        in_rare=rare & (np.arange(ROWS) % 12 > 0),
        in_common=~rare,
        in_other=rare & (np.arange(ROWS) % 12 < 8),
    )
    trace = {
        "activation": activation.astype(np.float32),
        "residual": residual.astype(np.float32),
        "mean_activation": activation[~rare].mean(0).astype(np.float32),
    }
    return rows, TracedCheckpoint(CheckpointName("m", name), trace, layer.arrays())


@pytest.fixture
def few_matched_rows(monkeypatch):
    """Matching without chance: the first rows of either condition."""

    def first(loss, position, one, other, *_):
        n = min(one.sum(), other.sum(), 80)
        return np.flatnonzero(one)[:n], np.flatnonzero(other)[:n]

    monkeypatch.setattr(joint, "matched_rows", first)


def whole_run(rows, checkpoint, reference, pair, statistic="mean_abs"):
    """The tables of a run, as its scripts make them one after the other."""
    rng, document = np.random.default_rng(9), rows["document"].to_numpy()
    layer, trace, name = LastLayer.from_arrays(checkpoint.last_layer), checkpoint.trace, checkpoint.name
    discovery = labels_of(rows, pair).any(1) & (rows["split"] == "discovery").to_numpy()
    at_rows = EffectsAtRows(discovery, N)
    masks = condition_split_masks(rows)
    sums, _ = influence_by_document(layer, trace, reference, rows["target"].to_numpy(), document, masks, at_rows.add)
    shuffles = label_shuffles(at_rows.values, document[discovery], labels_of(rows, pair)[discovery], 12, rng)
    features = neuron_features(
        trace["activation"][in_condition(rows, pair[0], "discovery")], checkpoint.last_layer["output_weight"]
    )
    influence = influence_frame(name, 1, sums)
    chosen = groups_of_influence(influence, pair[0], REGIMES.cuts, features, 12, rng, shuffles)
    groups = {key: group for key, group in controlled_groups(*chosen).items() if key in (TOP, SELECTIVE)}
    heldout = rows.loc[rows["split"] == "heldout", "document"]
    evidence = joint.JointEvidence(
        name,
        pair,
        rows,
        trace["activation"],
        checkpoint.last_layer,
        weights={"all/heldout": document_weights(heldout.nunique(), 40, rng)},
        residual=trace["residual"],
        reference=reference,
        rank_fraction=np.linspace(0, 1, len(rows)),
        orders={},
    )
    blocked = sums_of_arrays(blocked_arrays({key: sums[key] for key in masks if key.split("/")[0] in pair}, 40))
    heldout = evidence.at(pair[0], "heldout")
    layer = LayerActivations(*heldout, evidence.at(pair[0], "discovery")[0])
    weights = document_weights(len(np.unique(heldout[1])), 12, rng)
    coordination, _ = activation_coordination(*heldout, groups, weights, CoordinationSettings(), rng)
    divisions = [(key, each) for key in groups for each in group_division(layer, groups[key], ORGANIZATION, rng)]
    measured = joint.joint_estimates(evidence, groups, JOINT, rng)
    curves = regime_estimates(blocked, pair, REGIMES, rng, ("boost",), (statistic,))
    return {
        "regimes": measure_frame(name, curves),
        "coordination": measure_frame(name, [(pair[0], *each) for each in coordination]),
        "organization": measure_frame(name, [(pair[0], *each) for each in divisions]),
        "joint": measured.table,
    }, measured.draws


def value_of(table, condition, group, measure, part="", quantity="value", against=None):
    found = rows_of(
        table[(table["condition"] == condition) & (table["group"] == group)], measure, part, quantity, against
    )
    assert len(found) == 1, (condition, group, measure, part, quantity)
    return found["value"].iloc[0]


def numbers(tables, pair, statistic="mean_abs"):
    """One number of each table that does not depend on chance."""
    prefix, both = "" if statistic == "mean_abs" else f"{statistic}_", "-".join(pair)
    found = {"n": value_of(tables["regimes"], pair[0], "boost", f"{prefix}n_neurons")}
    for condition in pair:
        found[condition] = value_of(tables["regimes"], condition, "boost", f"{prefix}flatness", "flat")
    found["difference"] = value_of(
        tables["regimes"], both, "boost", f"{prefix}height_over_power_law", "excess", "difference"
    )
    for group in (TOP, SELECTIVE):
        found[f"dimension of {group}"] = value_of(
            tables["coordination"], pair[0], group, "effective_dimension", against="matched"
        )
        divided = tables["organization"].query("measure == 'separation' and against == 'rotation' and group == @group")
        found[f"divided rows of {group}"] = divided["n"].iloc[0]  # chance has a part in the division itself
        found[f"joint effect of {group}"] = value_of(
            tables["joint"], both, group, "delta_loss", "matched_rows", "difference", "matched"
        )
    return found


def by_table(measured, choice):
    mine = measured[measured["choice"] == choice]
    return {name: rows for name, rows in mine.groupby("table")}


@pytest.mark.oracle
@pytest.mark.usefixtures("few_matched_rows")
@pytest.mark.parametrize("name", [name for name in CHOICES if name != "other statistic"])
def test_a_choice_equals_a_whole_run_that_makes_it(name, rng):
    """The rows, the reference and the condition of the choice, given to the library as a run's own."""
    rows, checkpoint = planted(rng)
    choice, seed = CHOICES[name], 4
    measured = firmness_measures(rows, checkpoint, None, PAIR, [choice], SETTINGS, np.random.default_rng(seed))
    draw, pair = np.random.default_rng(seed), ("other" if name == "other band" else "rare", "common")
    document = rows["document"].to_numpy()
    reference = reference_values(checkpoint.trace, choice.reference or "mean", document, draw)
    if name == "swapped split":
        rows = rows.assign(split=rows["split"].map({"heldout": "discovery", "discovery": "heldout"}))
    used = rows[["in_rare", "in_common"]].any(axis=1)
    if name in ("other split", "half the documents"):
        used[used] = (found := chosen_rows(choice, rows[used], PAIR, 0.5, draw))[0]
        rows.loc[used, "split"] = found[1]["split"].to_numpy()
    elif name == "other band":
        used[:] = True
    mine = used.to_numpy()
    trace = checkpoint.trace | {key: checkpoint.trace[key][mine] for key in ("activation", "residual")}
    reference = reference[mine] if reference.ndim == 2 else reference
    part = rows[mine].reset_index(drop=True)
    expected, _ = whole_run(part, replace(checkpoint, trace=trace), reference, pair)
    assert numbers(by_table(measured, name), pair) == pytest.approx(numbers(expected, pair), rel=1e-5)


@pytest.mark.oracle
@pytest.mark.usefixtures("few_matched_rows")
def test_the_other_statistic_ranks_neurons_by_their_mean_effect(rng):
    rows, checkpoint = planted(rng)
    choice = CHOICES["other statistic"]
    found = by_table(firmness_measures(rows, checkpoint, None, PAIR, [choice], SETTINGS, rng), choice.name)
    reference = checkpoint.trace["mean_activation"]
    own, _ = whole_run(rows, checkpoint, reference, PAIR, "abs_mean")
    expected, mine = numbers(own, PAIR, "abs_mean"), numbers(found, PAIR)
    for name in ("n", "rare", "common", "difference", f"dimension of {SELECTIVE}", f"joint effect of {SELECTIVE}"):
        assert mine[name] == pytest.approx(expected[name], rel=1e-5), name
    sums, _ = influence_by_document(
        LastLayer.from_arrays(checkpoint.last_layer),
        checkpoint.trace,
        reference,
        rows["target"].to_numpy(),
        rows["document"].to_numpy(),
        {"": in_condition(rows, "rare", "discovery")},
    )
    top = np.argsort(-sums[""].signed.sum(0))[:33]
    values = checkpoint.trace["activation"][in_condition(rows, "rare", "heldout")][:, top].astype(float)
    spectrum = np.linalg.svd((values - values.mean(0)) / values.std(0), compute_uv=False) ** 2
    held = np.concatenate([[0], np.cumsum(spectrum) / spectrum.sum()])
    assert mine[f"dimension of {TOP}"] == pytest.approx(np.interp(0.95, held, np.arange(len(held))) / 33)
    assert set(np.argsort(-sums[""].absolute.sum(0))[:33]) != set(top)


@pytest.mark.oracle
@pytest.mark.usefixtures("few_matched_rows")
def test_the_untrained_model_is_measured_under_the_same_choice(rng):
    rows, last = planted(rng)
    _, first = planted(rng, "step0", strength=0.3)
    choice = CHOICES["zero reference"]
    measured = firmness_measures(rows, last, first, PAIR, [choice], SETTINGS, rng)
    zero = np.zeros(N, dtype=np.float32)
    runs = [whole_run(rows, each, zero, PAIR) for each in (first, last)]
    tables, draws = (pd.concat(parts) for parts in zip(*((run["joint"], drawn) for run, drawn in runs), strict=True))
    expected = beyond_untrained(tables, draws)
    for group in (TOP, SELECTIVE):
        place = "rare-common", group, "delta_loss", "matched_rows", "excess", "untrained"
        mine = value_of(by_table(measured, choice.name)["dynamics"], *place)
        assert mine == pytest.approx(value_of(expected, *place), rel=1e-4)
        assert abs(mine) > 0.001


def test_splits_are_exchanged_dealt_again_and_halved(rng):
    rows, _ = planted(rng)
    here, swapped = chosen_rows(CHOICES["swapped split"], rows, PAIR, 0.5, rng)
    np.testing.assert_array_equal(here, rows["in_rare"] | rows["in_common"])
    assert (swapped["split"].to_numpy() != rows.loc[here, "split"].to_numpy()).all()
    _, other = chosen_rows(CHOICES["other split"], rows, PAIR, 0.5, rng)
    sizes = other.drop_duplicates("document")["split"].value_counts()
    assert sizes.to_dict() == {"discovery": 40, "heldout": 40}
    assert other.groupby("document")["split"].nunique().eq(1).all()
    _, half = chosen_rows(CHOICES["half the documents"], rows, PAIR, 0.5, rng)
    sizes = half.drop_duplicates("document")["split"].value_counts()
    assert sizes.to_dict() == {"discovery": 27, "heldout": 14}


def test_a_choice_that_leaves_too_few_documents_is_left_out(rng):
    rows, checkpoint = planted(rng)
    rows = rows[rows["document"] % 3 != 0].assign(split="discovery")
    rows.loc[rows["document"] < 12, "split"] = "heldout"  # eight documents
    kept = {name: checkpoint.trace[name][rows.index] for name in ("activation", "residual")}
    checkpoint = replace(checkpoint, trace=checkpoint.trace | kept)
    choices = [CHOICES[name] for name in ("half the documents", "swapped split")]
    found = firmness_measures(rows.reset_index(drop=True), checkpoint, None, PAIR, choices, SETTINGS, rng)
    assert set(found["choice"]) == {"swapped split"}


def selectivity(measured, choice):
    """C8 under a choice."""
    tables = {
        name: measured[(measured["choice"] == choice) & (measured["table"] == name)] for name in ("joint", "dynamics")
    }
    groups = pd.DataFrame({"group": [TOP] * 33 + [SELECTIVE] * 33})
    return decide_selectivity({**tables, "groups": groups}, View(*PAIR), BOUNDS).verdict


@pytest.mark.calibration
@pytest.mark.parametrize("still", [False, True])
def test_a_verdict_is_firm_or_rests_on_one_choice(still, rng):
    """Neurons that write rare targets where these come, under any choice; and such as do so everywhere, if set to 0."""
    rows, checkpoint = planted(rng, still=still)
    as_it_is = Choice("as it is", RECOMPUTED, kind="firmness")
    names = ["zero reference"] if still else ["zero reference", "other band", "other split", "swapped split"]
    choices = [as_it_is, *(CHOICES[name] for name in names)]
    found = firmness_measures(rows, checkpoint, None, PAIR, choices, SETTINGS, rng)
    found["condition"] = found["condition"].replace("other-common", "rare-common")
    verdicts = {choice.name: selectivity(found, choice.name) for choice in choices}
    if still:
        assert verdicts == {"as it is": "undecided", "zero reference": "supported"}
    else:
        assert set(verdicts.values()) == {"supported"}, verdicts


def test_choices_of_the_configuration():
    assert list(CHOICES) == [
        *("zero reference", "resample reference", "other band", "other split", "swapped split"),
        *("half the documents", "other statistic"),
    ]
    assert CHOICES["other band"].band == "other"
    few = firmness_choices(ALL | {"references": ["mean"], "other_split": False}, "zero", CONDITIONS, PAIR)
    assert [choice.name for choice in few] == [
        *("mean reference", "other band", "swapped split", "half the documents", "other statistic")
    ]
    assert few[1].why_not
    assert not any(choice.why_not for choice in CHOICES.values())
