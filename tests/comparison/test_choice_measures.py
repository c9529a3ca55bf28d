"""Each of the authors' choices, measured on planted evidence: the right rows, neurons, controls and documents."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from rareneurons.comparison import choice_measures as choice_measures_module
from rareneurons.comparison.choice_measures import ChoiceSettings, Selection, choice_measures, fixed_flatness
from rareneurons.conventions import TOP, TOP_SIZE
from rareneurons.coordination.estimates import CoordinationSettings
from rareneurons.evidence import Evidence
from rareneurons.groups import groups_of_influence, members_by_group, neuron_features
from rareneurons.influence.sums import InfluenceSums, influence_frame
from rareneurons.organization.settings import OrganizationSettings
from rareneurons.regimes.estimates import RegimeSettings
from rareneurons.rows import CONDITION_PREFIX, in_condition
from rareneurons.stats import document_weights
from rareneurons.tables import CheckpointName

NAME = CheckpointName("a", "step16")
CUTS = (2.0, 3.5)
N, DOCUMENTS = 240, 24
REGIMES = RegimeSettings(CUTS, 20, 199, 0.05, 0.5, 1.5, 0.5, 0, (5,))
ORGANIZATION = OrganizationSettings(12, 20, 1, [1], 10, 20, 2)
SETTINGS = ChoiceSettings("rare-input", REGIMES, 12, 15, CoordinationSettings(), ORGANIZATION)


def influence_of(rng, order, shape):
    """Effects by document that boost every neuron; ``order[0]`` most, falling as ``shape`` does."""
    size = np.exp(shape)[np.argsort(order)]
    effect = size * (1 + 0.02 * rng.standard_normal((DOCUMENTS, N)))
    return InfluenceSums(np.arange(DOCUMENTS), np.full(DOCUMENTS, 5), effect * 5, effect * 5)


@pytest.fixture(scope="module")
def given():
    rng = np.random.default_rng(0)
    ln_rank = np.log(np.arange(1, N + 1))
    power_law, plateau = -0.8 * ln_rank, -0.8 * np.maximum(ln_rank, np.log(20))
    shapes = {"rare": power_law, "common": power_law, "rare-input": plateau}
    orders = {name: rng.permutation(N) for name in shapes}
    sums = {
        f"{name}/{split}": influence_of(rng, orders[name], shape)
        for name, shape in shapes.items()
        for split in ("discovery", "heldout")
    }
    n_rows = 600
    shared = rng.normal(size=(n_rows, 4)) @ rng.normal(size=(4, N))
    activation = (shared + 2 * rng.normal(size=(n_rows, N))).astype(np.float32)
    group = np.arange(n_rows) % 6
    places = [name.split("/") for name in sums]
    rows = pd.DataFrame({"split": [places[place][1] for place in group]})
    for name in shapes:
        rows[CONDITION_PREFIX + name] = [places[place][0] == name for place in group]
    influence = influence_frame(NAME, 2, sums)
    weight = rng.normal(size=(N, 8))
    found = Evidence(NAME, ("rare", "common"), rows, activation, {"output_weight": weight}, sums)
    features = neuron_features(activation[in_condition(rows, "rare", "discovery")], weight)
    groups, controls = groups_of_influence(influence, "rare", CUTS, features, 12, rng)
    rows["document"] = np.sort(rng.integers(DOCUMENTS, size=n_rows))
    return found, Selection(influence, groups, controls)


@pytest.fixture(scope="module")
def evidence(given):
    return given[0]


@pytest.fixture(scope="module")
def selection(given):
    return given[1]


@pytest.fixture(scope="module")
def measured(evidence, selection):
    return choice_measures(evidence, selection, SETTINGS, np.random.default_rng(1))


def row_of(measured, choice, measure, group, condition="rare", part="", quantity="value", against=None):
    found = measured[(measured["choice"] == choice) & (measured["measure"] == measure)]
    found = found[(found["group"] == group) & (found["condition"] == condition)]
    found = found[(found["part"] == part) & (found["quantity"] == quantity)]
    found = found if against is None else found[found["against"] == against]
    assert len(found) == 1
    return found.iloc[0]


def dimension(activation):
    """Principal components with 95 % of the variance of standardised columns, the last in part, over their number."""
    values = activation.astype(float)
    spectrum = np.linalg.svd((values - values.mean(0)) / values.std(0), compute_uv=False) ** 2
    held = np.concatenate([[0], np.cumsum(spectrum) / spectrum.sum()])
    return np.interp(0.95, held, np.arange(len(held))) / values.shape[1]


def top_of(selection, condition, size):
    mine = selection.influence.query(f"condition == '{condition}' and split == 'discovery'")
    return mine.sort_values("mean_abs_delta_loss", ascending=False)["neuron"].to_numpy()[:size]


@pytest.mark.oracle
@pytest.mark.parametrize(
    ("choice", "chosen_on", "split"),
    [
        ("input bands", "rare-input", "heldout"),
        ("random controls", "rare", "heldout"),
        ("reused documents", "rare", "discovery"),
        ("all together", "rare-input", "discovery"),
    ],
)
def test_neurons_are_chosen_and_described_on_the_choice_s_rows(evidence, selection, measured, choice, chosen_on, split):
    activation, _ = evidence.at(chosen_on, split)
    expected = dimension(activation[:, top_of(selection, chosen_on, TOP_SIZE)])
    against = None if "random" in choice or choice == "all together" else "matched"
    found = row_of(measured, choice, "effective_dimension", TOP, chosen_on, against=against)
    assert found["value"] == pytest.approx(expected)
    assert found["n"] == len(activation)
    assert found["split"] == split
    if choice != "random controls":  # C4 is not decided against control groups
        assert row_of(measured, choice, "separation", TOP, chosen_on, against="rotation")["n"] == len(activation)
    assert set(measured["group"]) <= {"boost", "plateau", TOP}


@pytest.mark.oracle
def test_random_controls_are_compared_with_and_named(evidence, selection, measured):
    activation, _ = evidence.at("rare", "heldout")
    drawn = members_by_group(selection.controls)

    def mean_of(prefix):
        return np.mean([dimension(activation[:, n[:TOP_SIZE]]) for name, n in drawn.items() if name.startswith(prefix)])

    found = row_of(measured, "random controls", "effective_dimension", TOP)
    assert found["null_mean"] == pytest.approx(mean_of("random_"))
    assert found["null_mean"] != pytest.approx(mean_of("matched_top_33_"))
    assert found["null_n"] == 12
    difference = row_of(measured, "random controls", "effective_dimension", TOP, quantity="difference")
    assert difference["value"] == pytest.approx(found["value"] - found["null_mean"])
    against = measured[measured["table"] == "coordination"].groupby("choice")["against"].unique()
    assert {choice: list(kinds) for choice, kinds in against.items()} == {
        "input bands": ["matched"],
        "random controls": ["random"],
        "reused documents": ["matched", "shuffled"],
        "all together": ["random"],
    }


def test_a_plateau_of_the_input_band_is_found_under_that_choice_alone(measured):
    """Planted: a plateau in the curve after rare inputs, power laws elsewhere. Fixed cuts see one in any curve."""
    assert row_of(measured, "input bands", "plateau", "boost", "rare-input", "test")["value"] == 1
    assert row_of(measured, "reused documents", "plateau", "boost", part="test")["value"] == 0
    for condition in ("rare", "common"):
        assert row_of(measured, "fixed cuts", "plateau", "boost", condition, "fixed")["value"] == 1
    declared = measured[(measured["choice"] == "random controls") & (measured["table"] == "regimes")]
    assert declared.empty


def test_reused_documents_describe_the_discovery_curve(evidence, selection):
    """With held-out effects in another order no top neurons would be found again; on the documents that chose them they
    are.
    """
    rng = np.random.default_rng(3)
    plateau = -0.8 * np.maximum(np.log(np.arange(1, N + 1)), np.log(20))
    sums = dict(evidence.sums) | {
        f"rare/{split}": influence_of(rng, np.random.default_rng(seed).permutation(N), plateau)
        for split, seed in (("discovery", 7), ("heldout", 8))
    }
    found = choice_measures(replace(evidence, sums=sums), selection, SETTINGS, np.random.default_rng(1))
    assert row_of(found, "reused documents", "plateau", "boost", part="test")["value"] == 1


def test_neurons_of_the_input_band_are_matched_on_its_own_discovery_rows(evidence, selection, monkeypatch):
    seen = []
    features = choice_measures_module.neuron_features
    monkeypatch.setattr(
        choice_measures_module,
        "neuron_features",
        lambda activation, weight: seen.append(activation) or features(activation, weight),
    )
    choice_measures(evidence, selection, SETTINGS, np.random.default_rng(1))
    assert len(seen) == 2  # input bands, and all together
    for activation in seen:
        np.testing.assert_array_equal(activation, evidence.at("rare-input", "discovery")[0])


def test_only_what_verdicts_read_is_kept(measured):
    organization = measured[measured["table"] == "organization"]
    division = {"separation", "division_power", "planted_correlation", "common_factor"}
    assert set(organization["measure"]) == division
    assert {"rotation"} < set(organization["against"]) <= {"rotation", "", "matched", "random"}
    coordination = measured[measured["table"] == "coordination"]
    assert set(coordination["measure"]) == {"effective_dimension"}
    assert set(coordination["quantity"]) == {"value", "difference"}
    assert set(measured.loc[measured["table"].isin(["coordination", "organization"]), "part"]) == {""}
    match = measured[measured["table"] == "group_match"]
    assert set(match["choice"]) == {"input bands"}  # the others keep the run's groups or look at random ones
    assert set(measured["choice"]) == {
        *("input bands", "fixed cuts", "random controls", "reused documents", "all together")
    }


def test_without_a_condition_by_input_token(evidence, selection):
    found = choice_measures(evidence, selection, replace(SETTINGS, by_input=None), np.random.default_rng(1))
    assert "input bands" not in set(found["choice"])
    activation, _ = evidence.at("rare", "discovery")
    expected = dimension(activation[:, top_of(selection, "rare", TOP_SIZE)])
    found = row_of(found, "all together", "effective_dimension", TOP)
    assert found["value"] == pytest.approx(expected)


@pytest.mark.oracle
def test_flatness_by_fixed_cuts_equals_lines_through_repeated_documents(evidence):
    sums = evidence.sums["rare-input/heldout"]
    weights = document_weights(DOCUMENTS, 30, np.random.default_rng(2))
    found = fixed_flatness(sums, weights, CUTS)
    slow = []
    for draw in [np.ones(DOCUMENTS, int), *weights]:
        documents = np.repeat(np.arange(DOCUMENTS), draw)
        y = np.log(-np.sort(-sums.absolute[documents].sum(0) / sums.n_rows[documents].sum()))
        x = np.log(np.arange(1, N + 1))
        top, middle = x < CUTS[0], (x >= CUTS[0]) & (x < CUTS[1])
        slow.append(np.polyfit(x[top], y[top], 1)[0] / np.polyfit(x[middle], y[middle], 1)[0])
    assert found.value == pytest.approx(slow[0])
    assert (found.ci_low, found.ci_high) == pytest.approx(tuple(np.quantile(slow[1:], [0.025, 0.975])))
    assert found.n == DOCUMENTS
