"""Another number of threads changes an effect by rounding alone."""

import numpy as np
import torch
from conftest import random_blocks, tiny_model

from rareneurons.influence.last_mlp import influence_by_document, reference_values
from rareneurons.models.architectures import architecture_of
from rareneurons.rows import candidate_rows
from rareneurons.trace import trace_rows


def effects(threads: int) -> np.ndarray:
    """Mean effect of every neuron (N,), float32 from the forward pass on, with so many threads."""
    sizes = {"hidden_size": 128, "intermediate_size": 512, "vocab_size": 1024}
    blocks = random_blocks(8)
    rows = candidate_rows(blocks)
    document = rows["document"].to_numpy()
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        architecture = architecture_of(tiny_model("gpt_neox", **sizes))
        trace = vars(trace_rows(architecture, blocks, rows, 8))
        held = reference_values(trace, "mean", document, np.random.default_rng(0))
        everything = {"all": np.ones(len(rows), dtype=bool)}
        layer = architecture.last_layer().to("cpu", torch.float32)
        sums, _ = influence_by_document(layer, trace, held, rows["target"].to_numpy(), document, everything)
    finally:
        torch.set_num_threads(before)
    return sums["all"].signed.sum(0) / len(rows)


def test_one_thread_or_two():
    one, two = effects(1), effects(2)
    assert np.abs(one).max() > 1e-3, "effects must be far above the tolerance"
    np.testing.assert_allclose(two, one, atol=1e-6, rtol=0)
