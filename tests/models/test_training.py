"""Training from scratch, and going on after an interruption."""

import numpy as np
import pytest
import torch
import transformers

from rareneurons.errors import CorpusError, DamagedFileError
from rareneurons.models.training import (
    Experts,
    Optimisation,
    Shape,
    Training,
    begin,
    random_blocks,
    read_state,
    train,
    untrained_model,
    write_state,
)

SHAPE = Shape(hidden_size=16, n_layers=2, n_heads=2, n_neurons=24)
MIXTURE = Shape(hidden_size=16, n_layers=2, n_heads=2, n_neurons=8, experts=Experts(number=4, chosen=2))
SHORT = Optimisation(steps=40, batch_size=4, block_length=16, learning_rate=1e-2, warmup_steps=4, weight_decay=0.1)
TOKENS = np.tile(np.arange(20, dtype=np.int32), 30)


def begun(seed: int, shape: Shape = SHAPE) -> Training:
    return begin(untrained_model(shape, 20, 16, seed), SHORT, np.random.default_rng(seed))


def run(seed: int, save_at=(), shape: Shape = SHAPE):
    saved, training = {}, begun(seed, shape)
    train(training, TOKENS, SHORT, save_at, lambda current: saved.update({current.step: weights(current)}))
    return training, saved


def weights(training: Training) -> dict[str, torch.Tensor]:
    return {name: parameter.detach().clone() for name, parameter in training.model.named_parameters()}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("shape", [SHAPE, MIXTURE], ids=["gpt_neox", "mixture"])
def test_loss_falls_from_ln_v_and_checkpoints_differ(shape):
    training, saved = run(0, [0, 8, 40], shape)
    assert training.step == len(training.losses) == 40
    assert training.losses[0] == pytest.approx(np.log(20), abs=0.2)
    assert training.losses[-1] < 1.0  # the planted sequence is predictable
    assert list(saved) == [0, 8, 40]
    assert not same(saved[0], saved[8])


def test_same_seed_same_model_and_global_state_untouched():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    (first, saved), (second, again), (other, another) = run(3, [0, 40]), run(3, [0, 40]), run(4, [0, 40])
    assert torch.equal(torch.get_rng_state(), before)
    assert first.losses == second.losses
    assert all(same(saved[step], again[step]) for step in (0, 40))
    assert first.losses != other.losses
    assert not any(same(saved[step], another[step]) for step in (0, 40))


def test_the_number_of_neurons_is_the_given_one():
    assert untrained_model(SHAPE, 20, 16, 0).gpt_neox.layers[-1].mlp.dense_4h_to_h.in_features == 24
    experts = untrained_model(MIXTURE, 20, 16, 0).model.layers[-1].mlp.experts
    assert experts.down_proj.shape == (4, 16, 8)


def test_a_mixture_s_losses_are_cross_entropies_without_the_balance_of_experts():
    training = begun(0, MIXTURE)
    state = training.rng.bit_generator.state
    train(training, TOKENS, Optimisation(1, 4, 16, 0.0, 0, 0.0), [], lambda _: None)
    rng = np.random.default_rng()
    rng.bit_generator.state = state
    batch = random_blocks(TOKENS, 4, 16, rng)
    with torch.no_grad():
        expected = training.model(input_ids=batch, labels=batch).loss.item()
    assert training.losses[0] == pytest.approx(expected, abs=1e-5)


def test_training_uses_all_experts():
    """The loss that spreads tokens over experts has to be among what is minimised."""
    training = begun(0, MIXTURE)
    train(training, TOKENS, SHORT, [], lambda _: None)
    with torch.no_grad():
        output = training.model(
            input_ids=torch.from_numpy(TOKENS[None, :16].astype(np.int64)), output_router_logits=True
        )
    for logits in output.router_logits:
        assert len(logits.topk(2).indices.unique()) == 4


@pytest.mark.oracle
def test_learning_rates_are_those_of_transformers():
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=SHORT.learning_rate)
    schedule = transformers.get_cosine_schedule_with_warmup(optimiser, SHORT.warmup_steps, SHORT.steps)
    for step in range(SHORT.steps):
        assert SHORT.learning_rate_at(step) == pytest.approx(schedule.get_last_lr()[0], rel=1e-12)
        optimiser.step()
        schedule.step()


class KilledError(Exception):
    pass


@pytest.mark.parametrize(("shape", "killed_at"), [(SHAPE, 0), (SHAPE, 1), (SHAPE, 23), (SHAPE, 40), (MIXTURE, 23)])
def test_training_killed_after_a_save_goes_on_bit_for_bit(tmp_path, shape, killed_at):
    """It is killed some steps after the save, so what it did since is done again."""
    whole, saved = run(6, [40], shape)
    interrupted, file = begun(6, shape), str(tmp_path / "state.safetensors")

    def save(current):
        if current.step != killed_at:
            raise KilledError
        write_state(current, file)

    if killed_at < 40:
        with pytest.raises(KilledError):
            train(interrupted, TOKENS, SHORT, [killed_at, killed_at + 3], save)
    else:
        train(interrupted, TOKENS, SHORT, [killed_at], save)
    again = begun(6, shape)
    read_state(again, file)
    assert again.step == killed_at
    train(again, TOKENS, SHORT, [], lambda _: None)
    assert again.losses == whole.losses
    assert same(weights(again), saved[40])


def test_the_optimiser_s_moments_matter(tmp_path):
    """The test above can fail: without the moments the rest differs."""
    whole, _ = run(6)
    partly, file = begun(6), str(tmp_path / "state.safetensors")
    train(partly, TOKENS, SHORT, [23], lambda current: write_state(current, file))
    again = begun(6)
    read_state(again, file)
    again.optimiser.state.clear()
    train(again, TOKENS, SHORT, [], lambda _: None)
    assert again.losses[:24] == whole.losses[:24]
    assert again.losses != whole.losses


def test_a_truncated_state_is_refused(tmp_path):
    file = tmp_path / "state.safetensors"
    write_state(begun(0), str(file))
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(DamagedFileError, match=r"state.safetensors: cannot be read .* training begins again"):
        read_state(begun(0), str(file))


def test_too_short_a_stream_is_refused():
    with pytest.raises(CorpusError, match="found 10, need more than one block of 16"):
        train(begun(0), np.arange(10), SHORT, [], lambda _: None)


def test_blocks_are_windows_of_the_stream(rng):
    batch = random_blocks(np.arange(50), 8, 5, rng)
    assert batch.shape == (8, 5)
    assert (batch[:, 1:] - batch[:, :-1] == 1).all()
