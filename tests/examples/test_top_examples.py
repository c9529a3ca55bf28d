"""Top examples and effects by target token against searches by hand, with plain runs of the whole model."""

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import random_blocks, tiny_model
from oracles import hooked_delta_loss, losses

from rareneurons.examples import windows
from rareneurons.examples.search import HELPS, HIGHEST, HURTS, LOWEST, most_extreme
from rareneurons.examples.tables import EXAMPLE_COLUMNS, TOKEN_COLUMNS, checkpoint_examples
from rareneurons.examples.token_effects import effects_by_target
from rareneurons.influence.sums import clustered_mean
from rareneurons.models.architectures import architecture_of
from rareneurons.rows import candidate_rows
from rareneurons.tables import CheckpointName
from rareneurons.trace import Recorder, trace_rows

TEN = np.array([0, 2, 3, 7, 9, 11, 14, 17, 20, 23])
TOP = 4


class Planted:
    """A tiny model in float64 and its examples of ten neurons, and everything that a search by hand needs."""

    def __init__(self, kind: str) -> None:
        self.architecture = architecture_of(tiny_model(kind).double())
        self.blocks = random_blocks(9)
        rows = candidate_rows(self.blocks)
        rows = rows[rows.index % 5 > 0].reset_index(drop=True)
        rows["split"] = np.where(rows["document"] % 20 == 0, "heldout", "discovery")
        rows["in_rare"], rows["in_common"] = rows["target"] % 3 > 0, rows["target"] % 3 < 2
        self.rows = rows
        self.trace = vars(trace_rows(self.architecture, self.blocks, rows, 4))
        self.reference = self.trace["mean_activation"]
        self.layer = self.architecture.last_layer()
        self.found = self.examples(TEN)

    def examples(self, neurons):
        return checkpoint_examples(
            CheckpointName("tiny", "step7"),
            self.architecture,
            windows.Ablation(self.layer, self.reference, tolerance=1e-9),
            self.trace,
            self.blocks,
            self.rows,
            neurons,
            "rare",
            lambda tokens: {int(token): f"<{token}>" for token in tokens},
            batch_size=2,
            top=TOP,
        )

    def hooked(self, rows, neuron):
        return hooked_delta_loss(self.architecture, self.blocks, rows, neuron, float(self.reference[neuron]))


@pytest.fixture(scope="module", params=["gpt_neox", "llama", "gemma2", "qwen2_moe"])
def planted(request):
    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.setattr(windows, "BEFORE", 5)
    monkeypatch.setattr(windows, "AFTER", 3)
    yield Planted(request.param)
    monkeypatch.undo()


def by_hand(value: np.ndarray, document: np.ndarray) -> list[int]:
    """Rows from the largest positive value down, the first of each document."""
    found, seen = [], set()
    for row in sorted(range(len(value)), key=lambda row: (-value[row], row)):
        if value[row] > 0 and document[row] not in seen:
            found.append(row)
            seen.add(document[row])
    return found[:TOP]


@pytest.mark.oracle
def test_examples_of_ten_neurons_equal_a_search_by_hand(planted):
    heldout = planted.rows[planted.rows["split"] == "heldout"].reset_index(drop=True)
    activation = planted.trace["activation"][planted.rows["split"] == "heldout"]
    clean = losses(planted.architecture, planted.blocks, heldout)
    table = planted.found.top_examples
    assert list(table.drop(columns="expert", errors="ignore").columns) == EXAMPLE_COLUMNS
    for neuron in TEN:
        effect = planted.hooked(heldout, neuron)
        values = {HIGHEST: activation[:, neuron], LOWEST: -activation[:, neuron], HELPS: effect, HURTS: -effect}
        for kind, value in values.items():
            rows = by_hand(value, heldout["document"].to_numpy())
            mine = table[(table["neuron"] == neuron) & (table["kind"] == kind)]
            assert mine["rank"].tolist() == list(range(1, len(rows) + 1))
            for column in ("document", "block", "position", "target"):
                assert mine[column].tolist() == heldout.loc[rows, column].tolist(), (neuron, kind)
            np.testing.assert_allclose(mine["activation"], activation[rows, neuron])
            np.testing.assert_allclose(mine["delta_loss"], effect[rows], atol=1e-5)
            np.testing.assert_allclose(mine["loss"], clean[rows], atol=1e-5)
            assert [list(names) for names in mine["conditions"]] == [
                [name for name in ("rare", "common") if heldout.loc[row, f"in_{name}"]] for row in rows
            ]
    assert table.groupby(["neuron", "kind"]).size().max() == TOP
    assert (table["target_text"] == "<" + table["target"].astype(str) + ">").all()


@pytest.mark.oracle
def test_windows_equal_plain_runs_token_by_token(planted):
    table = planted.found.top_examples
    table = table[table["neuron"].isin(TEN[:3])]
    for neuron, examples in table.groupby("neuron"):
        for example in examples.itertuples():
            real = int(planted.blocks.length[example.block])
            first, last = max(0, example.position - 5), min(real, example.position + 4)
            tokens = planted.blocks.tokens[example.block]
            assert (example.window_start, example.window_row) == (first, example.position - first)
            assert example.window_tokens.tolist() == tokens[first:last].tolist()
            assert list(example.window_text) == [f"<{token}>" for token in tokens[first:last]]
            modules = {"a": planted.architecture.mlp_output(1)}
            with torch.inference_mode(), Recorder(modules) as recorder:
                planted.architecture.model(input_ids=torch.from_numpy(tokens[None, :real].astype(np.int64)))
            np.testing.assert_allclose(
                example.window_activation, recorder.inputs["a"][0, first:last, neuron], atol=1e-5, rtol=1e-5
            )
            inside = np.arange(first, min(last, real - 1))
            rows = pd.DataFrame({"block": example.block, "position": inside, "target": tokens[inside + 1]})
            np.testing.assert_allclose(
                example.window_delta_loss[: len(rows)], planted.hooked(rows, neuron), atol=1e-5, rtol=1e-4
            )
            assert np.isnan(example.window_delta_loss[len(rows) :]).all()
            assert example.window_activation[example.window_row] == pytest.approx(example.activation, rel=1e-4)
    assert set(table["window_start"] == 0) == {True, False}
    assert any(np.isnan(values).any() for values in table["window_delta_loss"]), "none ends with its document"


@pytest.mark.oracle
def test_effects_of_tokens_are_means_over_their_heldout_rows(planted):
    mine = planted.rows[(planted.rows["split"] == "heldout") & planted.rows["in_rare"]].reset_index(drop=True)
    table = planted.found.token_effects
    assert list(table.drop(columns="expert", errors="ignore").columns) == TOKEN_COLUMNS
    for neuron in TEN[:3]:
        effect, of_neuron = planted.hooked(mine, neuron), table[table["neuron"] == neuron]
        assert set(of_neuron["target"]) == set(mine["target"])
        assert (of_neuron["mean_delta_loss"].diff().dropna() <= 0).all()
        for target, rows in mine.groupby("target"):
            row = of_neuron[of_neuron["target"] == target].iloc[0]
            assert (row["n_rows"], row["n_documents"]) == (len(rows), rows["document"].nunique())
            assert row["mean_delta_loss"] == pytest.approx(effect[rows.index].mean(), abs=1e-5)
            assert np.isnan(row["se_delta_loss"]) == (row["n_documents"] == 1)
    assert (set(table["condition"]), set(table["split"])) == ({"rare"}, {"heldout"})


def test_experts_are_named_in_a_mixture_alone(planted):
    assert ("expert" in planted.found.top_examples) == (planted.layer.expert is not None)
    if planted.layer.expert is not None:
        table = planted.found.token_effects
        assert (table["expert"] == planted.layer.expert[table["neuron"]]).all()


def test_no_neurons_have_no_examples(planted):
    found = planted.examples(np.empty(0, dtype=np.int64))
    assert found.top_examples.empty
    assert found.token_effects.empty
    assert set(EXAMPLE_COLUMNS) <= set(found.top_examples.columns)


def test_a_documents_largest_value_counts_and_the_first_of_equals():
    document = np.array([1, 1, 1, 2, 2, 5, 8])
    values = np.array([[3.0], [7.0], [7.0], [2.0], [7.0], [-1.0], [0.0]])
    found = most_extreme(values, document, 3)
    assert found.row.tolist() == [1, 4]
    assert found.rank.tolist() == [1, 2]


@pytest.mark.oracle
def test_errors_of_tokens_are_clustered_as_everywhere(rng):
    delta = rng.normal(size=(60, 2))
    target, document = rng.integers(0, 4, 60), rng.integers(0, 9, 60)
    table = effects_by_target(delta, target, document)
    for row in table.itertuples():
        mine = target == row.target
        documents = np.unique(document[mine])
        sums = np.array([delta[mine & (document == d), row.neuron].sum() for d in documents])[:, None]
        mean, error = clustered_mean(sums, np.array([(mine & (document == d)).sum() for d in documents]))
        assert (row.mean_delta_loss, row.se_delta_loss) == pytest.approx((mean[0], error[0]))
