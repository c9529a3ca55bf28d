"""Means of neurons' properties over groups, against controls."""

import numpy as np
import pandas as pd
import pytest

from rareneurons.groups import ControlledGroup
from rareneurons.known_types.declared import UNITS
from rareneurons.neuron_types.estimates import NOT_DEFINED, NeuronEvidence, NeuronTypeSettings, neuron_type_estimates
from rareneurons.stats import benjamini_hochberg
from rareneurons.tables import MEASURE_COLUMNS, CheckpointName, rows_of


def evidence_of(neurons: pd.DataFrame) -> NeuronEvidence:
    return NeuronEvidence(CheckpointName("m", "step8"), ("rare", "common"), neurons=neurons)


def drawn_groups(rng: np.random.Generator, n_neurons: int) -> dict[str, ControlledGroup]:
    """A group of six with both kinds of controls, one with matched controls missing, and one too small."""

    def drawn(size: int, number: int) -> np.ndarray:
        groups = [rng.choice(np.arange(6, n_neurons), size, replace=False) for _ in range(number)]
        return np.array(groups, dtype=np.int64).reshape(-1, size)

    return {
        "plateau": ControlledGroup(np.arange(6), {"random": drawn(6, 30), "matched": drawn(6, 30)}),
        "top_33": ControlledGroup(np.arange(4), {"random": drawn(4, 30), "matched": drawn(4, 0)}),
        "suppress_plateau": ControlledGroup(np.arange(2), {"random": drawn(2, 0), "matched": drawn(2, 0)}),
    }


def test_a_checkpoint_s_table_has_the_means_of_groups_that_can_be_measured(rng):
    neurons = pd.DataFrame({name: rng.uniform(size=30) for name in UNITS}).assign(neuron=np.arange(30))
    neurons["known_type"] = (np.arange(30) < 6).astype(float)
    shuffled = neurons.sample(frac=1, random_state=1)
    table = neuron_type_estimates(evidence_of(shuffled), drawn_groups(rng, 30), NeuronTypeSettings(), rng).table
    assert list(table.columns) == MEASURE_COLUMNS
    assert set(table["group"]) == {"plateau", "top_33"}  # not the one of two neurons
    assert set(table["condition"]) == {"rare"}
    for _, family in table.groupby("against"):
        np.testing.assert_array_equal(family["q_value"], benjamini_hochberg(family["p_value"].to_numpy()))
    (row,) = rows_of(table, "output_norm", against="matched").query("group == 'plateau'").to_dict("records")
    assert row["value"] == pytest.approx(neurons["output_norm"][:6].mean())
    assert (row["n"], row["null_n"], row["reason"]) == (6, 30, "")
    (row,) = rows_of(table, "known_type", against="matched").query("group == 'plateau'").to_dict("records")
    assert (row["value"], row["null_mean"]) == (1, 0)
    assert row["p_value"] == pytest.approx(2 / 31)
    (row,) = rows_of(table, "output_norm", against="matched").query("group == 'top_33'").to_dict("records")
    assert np.isfinite(row["value"])
    assert np.isnan(row["p_value"])
    assert row["reason"] == "no matched controls: too few other neurons"


def test_a_layer_without_a_closed_form_gives_a_reason_and_no_number(rng):
    neurons = pd.DataFrame({name: np.full(24, np.nan) for name in UNITS}).assign(neuron=np.arange(24))
    table = neuron_type_estimates(evidence_of(neurons), drawn_groups(rng, 24), NeuronTypeSettings(), rng).table
    assert table["value"].isna().all()
    assert table["p_value"].isna().all()
    assert set(table["reason"]) == {NOT_DEFINED}
