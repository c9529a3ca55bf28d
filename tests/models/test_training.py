"""Training from scratch."""

import numpy as np
import pytest
import torch

from rareneurons.errors import CorpusError
from rareneurons.models.training import Optimisation, Shape, random_blocks, train, untrained_model

SHAPE = Shape(hidden_size=16, n_layers=2, n_heads=2)
SHORT = Optimisation(steps=40, batch_size=4, block_length=16, learning_rate=1e-2, warmup_steps=4, weight_decay=0.0)


def run(seed: int, save_at=()):
    saved = {}
    model = untrained_model(SHAPE, 20, 16, seed)
    tokens = np.tile(np.arange(20, dtype=np.int32), 30)
    records = list(
        train(
            model,
            tokens,
            SHORT,
            save_at,
            lambda step, m: saved.update({step: m.get_output_embeddings().weight.detach().clone()}),
            np.random.default_rng(seed),
        )
    )
    return records, saved


def test_loss_falls_from_ln_v_and_checkpoints_differ():
    records, saved = run(0, save_at=[0, 8, 40])
    assert len(records) == 40
    assert records[0]["loss"] == pytest.approx(np.log(20), abs=0.2)
    assert records[-1]["loss"] < 1.0  # the planted sequence is predictable
    assert list(saved) == [0, 8, 40]
    assert not torch.equal(saved[0], saved[8])


def test_same_seed_same_model_and_global_state_untouched():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first, second = run(3)[0], run(3)[0]
    assert first == second
    assert torch.equal(torch.get_rng_state(), before)
    assert run(4)[0] != first


def test_too_short_a_stream_is_refused(rng):
    with pytest.raises(CorpusError, match="found 10, need more than one block of 16"):
        list(train(untrained_model(SHAPE, 20, 16, 0), np.arange(10), SHORT, [], lambda *_: None, rng))


def test_blocks_are_windows_of_the_stream(rng):
    batch = random_blocks(np.arange(50), 8, 5, rng)
    assert batch.shape == (8, 5)
    assert (batch[:, 1:] - batch[:, :-1] == 1).all()
