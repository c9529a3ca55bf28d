"""Each of the authors' choices, measured on planted evidence: the right rows, neurons, controls and documents."""

import numpy as np
import pytest

from rareneurons.comparison import choice_measures as choice_measures_module
from rareneurons.comparison.choice_measures import Evidence, Settings, choice_measures, fixed_flatness
from rareneurons.groups import groups_of_influence, members_by_group, neuron_features
from rareneurons.influence.sums import InfluenceSums, influence_frame
from rareneurons.organization.group import Effort
from rareneurons.regimes.estimates import RegimeSettings
from rareneurons.stats import document_weights
from rareneurons.tables import PLATEAU_TEST, CheckpointName

NAME = CheckpointName("a", "step16")
CUTS = (2.0, 3.5)
N, DOCUMENTS = 240, 24
REGIMES = RegimeSettings(CUTS, 20, 199, 0.05, 0.5, 0.5, 0, (5,))
SETTINGS = Settings(("rare", "common"), "rare-input", REGIMES, 12, 15, Effort(12, 20, 1, [1], 10))


def influence_of(rng, order, shape):
    """Effects by document that boost every neuron; ``order[0]`` most, falling as ``shape`` does."""
    size = np.exp(shape)[np.argsort(order)]
    effect = size * (1 + 0.02 * rng.standard_normal((DOCUMENTS, N)))
    return InfluenceSums(np.arange(DOCUMENTS), np.full(DOCUMENTS, 5), effect * 5, effect * 5)


@pytest.fixture(scope="module")
def evidence():
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
    masks = {name: group == place for place, name in enumerate(sums)}
    influence = influence_frame(NAME, 2, sums)
    weight = rng.normal(size=(N, 8))
    features = neuron_features(activation[masks["rare/discovery"]], weight)
    groups, controls = groups_of_influence(influence, "rare", CUTS, features, 12, rng)
    document = np.sort(rng.integers(DOCUMENTS, size=n_rows))
    return Evidence(activation, document, masks, sums, influence, groups, controls, weight)


@pytest.fixture(scope="module")
def measured(evidence):
    return choice_measures(NAME, evidence, SETTINGS, np.random.default_rng(1))


def value_of(measured, choice, measure, group, condition="rare"):
    found = measured[(measured["choice"] == choice) & (measured["measure"] == measure)]
    found = found[(found["group"] == group) & (found["condition"] == condition)]
    assert len(found) == 1
    return found.iloc[0]


def dimension(activation):
    """Fewest principal components with 95 % of the variance of standardised columns, over their number."""
    values = activation.astype(float)
    spectrum = np.linalg.svd((values - values.mean(0)) / values.std(0), compute_uv=False) ** 2
    return (np.searchsorted(np.cumsum(spectrum) / spectrum.sum(), 0.95) + 1) / values.shape[1]


def head_of(evidence, condition, size):
    mine = evidence.influence.query(f"condition == '{condition}' and split == 'discovery'")
    return mine.sort_values("mean_abs_delta_loss", ascending=False)["neuron"].to_numpy()[:size]


SIZE = 7  # ranks up to exp(2)


@pytest.mark.oracle
@pytest.mark.parametrize(
    ("choice", "group", "chosen_on", "described_on"),
    [
        ("input bands", "fixed_plateau", "rare-input", "rare-input/heldout"),
        ("random controls", "fixed_plateau", "rare", "rare/heldout"),
        ("reused documents", "fixed_plateau", "rare", "rare/discovery"),
        ("all together", "plateau", "rare-input", "rare-input/discovery"),
    ],
)
def test_the_head_is_chosen_and_described_on_the_choice_s_rows(
    evidence, measured, choice, group, chosen_on, described_on
):
    rows = evidence.masks[described_on]
    expected = dimension(evidence.activation[rows][:, head_of(evidence, chosen_on, SIZE)])
    found = value_of(measured, choice, "effective_dimension.matched", group)
    assert found["value"] == pytest.approx(expected)
    assert found["n"] == rows.sum()
    assert value_of(measured, choice, "signed_modularity.matched", group)["n"] == rows.sum()
    assert set(measured["group"]) <= {"boost", "plateau", "fixed_plateau"}


@pytest.mark.oracle
def test_random_controls_take_the_place_of_matched_ones(evidence, measured):
    activation = evidence.activation[evidence.masks["rare/heldout"]]
    drawn = members_by_group(evidence.controls)

    def mean_of(prefix):
        return np.mean([dimension(activation[:, n[:SIZE]]) for name, n in drawn.items() if name.startswith(prefix)])

    null = value_of(measured, "random controls", "effective_dimension.matched.null_mean", "fixed_plateau")
    assert null["value"] == pytest.approx(mean_of("random_"))
    assert null["value"] != pytest.approx(mean_of("matched_fixed_plateau_"))
    assert null["n"] == 12


def test_a_plateau_of_the_input_band_is_found_under_that_choice_alone(measured):
    """Planted: a plateau in the curve after rare inputs, power laws elsewhere. Fixed cuts see one in any curve."""
    assert value_of(measured, "input bands", PLATEAU_TEST, "boost")["value"] == 1
    assert value_of(measured, "reused documents", PLATEAU_TEST, "boost")["value"] == 0
    for condition in ("rare", "common"):
        assert value_of(measured, "fixed cuts", PLATEAU_TEST, "boost", condition)["value"] == 1
    declared = measured[(measured["choice"] == "random controls") & (measured["table"] == "regimes")]
    assert declared.empty


def test_reused_documents_describe_the_discovery_curve(evidence):
    """With held-out effects of another order, no head would be found again; it is on the documents that chose it."""
    rng = np.random.default_rng(3)
    plateau = -0.8 * np.maximum(np.log(np.arange(1, N + 1)), np.log(20))
    sums = dict(evidence.sums) | {
        f"rare/{split}": influence_of(rng, np.random.default_rng(seed).permutation(N), plateau)
        for split, seed in (("discovery", 7), ("heldout", 8))
    }
    moved = Evidence(**{**vars(evidence), "sums": sums})
    found = choice_measures(NAME, moved, SETTINGS, np.random.default_rng(1))
    assert value_of(found, "reused documents", PLATEAU_TEST, "boost")["value"] == 1


def test_neurons_of_the_input_band_are_matched_on_its_own_discovery_rows(evidence, monkeypatch):
    seen = []
    features = choice_measures_module.neuron_features
    monkeypatch.setattr(
        choice_measures_module,
        "neuron_features",
        lambda activation, weight: seen.append(activation) or features(activation, weight),
    )
    choice_measures(NAME, evidence, SETTINGS, np.random.default_rng(1))
    assert len(seen) == 2  # input bands, and all together
    for activation in seen:
        np.testing.assert_array_equal(activation, evidence.activation[evidence.masks["rare-input/discovery"]])


def test_only_what_verdicts_read_is_kept(measured):
    assert (
        measured.loc[measured["table"] == "organization", "measure"].str.startswith("signed_modularity.matched").all()
    )
    assert set(measured.loc[measured["table"] == "coordination", "measure"]) == {
        f"effective_dimension.matched{end}" for end in ("", ".null_mean", ".difference")
    }
    assert set(measured["choice"]) == {
        *("input bands", "fixed cuts", "random controls", "reused documents", "all together")
    }


def test_without_a_condition_by_input_token(evidence):
    settings = Settings(("rare", "common"), None, REGIMES, 12, 15, SETTINGS.organization)
    found = choice_measures(NAME, evidence, settings, np.random.default_rng(1))
    assert "input bands" not in set(found["choice"])
    rows = evidence.masks["rare/discovery"]
    expected = dimension(evidence.activation[rows][:, head_of(evidence, "rare", SIZE)])
    assert value_of(found, "all together", "effective_dimension.matched", "plateau")["value"] == pytest.approx(expected)


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
        head, middle = x < CUTS[0], (x >= CUTS[0]) & (x < CUTS[1])
        slow.append(np.polyfit(x[head], y[head], 1)[0] / np.polyfit(x[middle], y[middle], 1)[0])
    assert found.value == pytest.approx(slow[0])
    assert (found.ci_low, found.ci_high) == pytest.approx(tuple(np.quantile(slow[1:], [0.025, 0.975])))
    assert found.n == DOCUMENTS
