"""The traced pass against plain runs."""

import numpy as np
import pytest
import torch
from conftest import TINY, random_blocks, tiny_model

from rareneurons.errors import CheckpointError
from rareneurons.models.architectures import architecture_of
from rareneurons.rows import candidate_rows
from rareneurons.trace import (
    Recorder,
    Trace,
    mean_activations,
    refuse_non_finite_trace,
    trace_rows,
)


@pytest.mark.oracle
@pytest.mark.parametrize("kind", TINY)
def test_batches_and_padding_change_nothing(kind):
    architecture = architecture_of(tiny_model(kind))
    blocks = random_blocks(7)
    everything = candidate_rows(blocks)
    rows = everything[everything["block"] != 2].iloc[::2].reset_index(drop=True)
    trace = trace_rows(architecture, blocks, rows, batch_size=3)
    modules = {"a": architecture.mlp_output(1), "x": architecture.final_norm_module}
    seen = []
    for block in sorted(rows["block"].unique()):
        real = int(blocks.length[block])
        with torch.inference_mode(), Recorder(modules) as recorder:
            architecture.model(input_ids=torch.from_numpy(blocks.tokens[block : block + 1, :real].astype(np.int64)))
        mine = rows[rows["block"] == block]
        for name, stored in (("a", trace.activation), ("x", trace.residual)):
            expected = recorder.inputs[name][0][mine["position"].to_numpy()]
            np.testing.assert_allclose(stored[mine.index], expected, atol=2e-4, rtol=1e-4)
        seen.append(recorder.inputs["a"][0][3 : real - 1].double())
    np.testing.assert_allclose(trace.mean_activation, torch.cat(seen).mean(0), atol=1e-5, rtol=1e-4)
    assert trace.layer.tolist() == [1]


@pytest.mark.oracle
def test_means_of_all_layers_leave_out_padding_and_first_positions():
    architecture = architecture_of(tiny_model("gpt_neox"))
    blocks = random_blocks(7)
    everything = candidate_rows(blocks)
    rows = everything[everything["block"] != 2].iloc[::2].reset_index(drop=True)
    found = mean_activations(architecture, blocks, rows, [0, 1], batch_size=3)
    trace = trace_rows(architecture, blocks, rows, batch_size=3)
    np.testing.assert_allclose(found[1], trace.mean_activation, atol=1e-12)
    seen = []
    for block in (0, 1, 3, 4, 5, 6):
        real = int(blocks.length[block])
        with torch.inference_mode(), Recorder({"a": architecture.mlp_output(0)}) as recorder:
            architecture.model(input_ids=torch.from_numpy(blocks.tokens[block : block + 1, :real].astype(np.int64)))
        seen.append(recorder.inputs["a"][0, 3 : real - 1].double())
    np.testing.assert_allclose(found[0], torch.cat(seen).mean(0), atol=1e-6)


@pytest.mark.faults
def test_tokens_of_another_tokenizer_are_refused():
    blocks = random_blocks(2)
    blocks.tokens[1, 5] = 61
    with pytest.raises(CheckpointError, match="token 61 occurs .* vocabulary ends at 60"):
        trace_rows(architecture_of(tiny_model("gpt2")), blocks, candidate_rows(blocks), batch_size=2)


@pytest.mark.faults
def test_non_finite_residual_is_named():
    trace = Trace(np.zeros((3, 2)), np.array([[0.0], [np.inf], [np.nan]]), np.zeros(2), np.array([1]))
    with pytest.raises(CheckpointError, match=r"residual .* at 2 of 3 rows, first at row 1"):
        refuse_non_finite_trace(trace)


@pytest.mark.faults
@pytest.mark.parametrize(("kind", "key"), [("gpt2", "n_positions"), ("llama", "max_position_embeddings")])
def test_blocks_longer_than_the_context_are_refused(kind, key):
    """GPT-2 has no embedding for the seventeenth token; rotary positions exist, but the model never saw them."""
    architecture, blocks = architecture_of(tiny_model(kind, **{key: 15})), random_blocks(7)
    rows = candidate_rows(blocks)
    message = r"^rows\.block_length: found 16, but the model was trained for 15 positions; expected at most 15"
    with pytest.raises(CheckpointError, match=message):
        trace_rows(architecture, blocks, rows, batch_size=3)
    with pytest.raises(CheckpointError, match=message):
        mean_activations(architecture, blocks, rows, [0], batch_size=3)
