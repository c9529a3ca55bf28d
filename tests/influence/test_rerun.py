"""Re-runs from a layer against whole hooked passes; first-order scores against small steps; bounds on misses."""

import numpy as np
import pytest
import torch
from conftest import TINY, random_blocks, tiny_model
from oracles import hooked_delta_loss, losses

from rareneurons.influence.rerun import rerun_delta_loss
from rareneurons.influence.screening import (
    attribution_scores,
    candidates_and_sample,
    miss_rate,
    rank_correlation,
    screening_estimates,
)
from rareneurons.models.architectures import architecture_of
from rareneurons.models.partial_run import blocks_skipped_below, run_from
from rareneurons.rows import candidate_rows
from rareneurons.trace import Recorder

NEURONS = [0, 7, 11, 23]


def layer_means(architecture, blocks):
    modules = {layer: architecture.mlp_output(layer) for layer in range(architecture.n_layers)}
    with torch.inference_mode(), Recorder(modules) as recorder:
        architecture.base(input_ids=torch.from_numpy(blocks.tokens.astype(np.int64)), use_cache=False)
    return {layer: values.mean((0, 1)).numpy() for layer, values in recorder.inputs.items()}


@pytest.mark.oracle
@pytest.mark.parametrize("kind", TINY)
@pytest.mark.parametrize("layer", [0, 1])
def test_rerun_equals_hooked_passes(kind, layer):
    architecture = architecture_of(tiny_model(kind).double())
    blocks = random_blocks(5)
    rows = candidate_rows(blocks).iloc[::2].reset_index(drop=True)
    reference = layer_means(architecture, blocks)[layer]
    found = rerun_delta_loss(architecture, blocks, rows, layer, NEURONS, reference, batch_size=2, neurons_per_pass=3)
    for column, neuron in enumerate(NEURONS):
        slow = hooked_delta_loss(architecture, blocks, rows, neuron, float(reference[neuron]), layer)
        np.testing.assert_allclose(found[:, column], slow, atol=1e-9, rtol=0)
    assert np.abs(found).max() > 0.01


@pytest.mark.parametrize("layer", [0, 1])
def test_rows_before_the_first_change_keep_their_loss_exactly(layer):
    """Held at its value, a neuron's effect is exactly 0; moved at position 5 alone, rows before 5 keep an exact 0."""
    architecture = architecture_of(tiny_model("llama").double())
    neurons, where = [0, 3], 5
    with torch.no_grad():  # neurons 0 and 3 are silent: their gate is closed
        for number in neurons:
            architecture.mlp_inputs(layer)["w_gate"][number] = 0
    blocks = random_blocks(5)
    rows = candidate_rows(blocks)
    arguments = (architecture, blocks, rows, layer, neurons)
    assert (rerun_delta_loss(*arguments, np.zeros(24), batch_size=2, neurons_per_pass=3) == 0).all()

    def wake(_module, inputs):
        woken = inputs[0].clone()
        woken[:, where, 0] = 1.0
        return (woken,)

    handle = architecture.mlp_output(layer).register_forward_pre_hook(wake)
    found = rerun_delta_loss(*arguments, np.zeros(24), batch_size=2, neurons_per_pass=3)
    handle.remove()
    position = rows["position"].to_numpy()
    assert (found[position < where] == 0).all()
    assert (found[:, 1] == 0).all()
    # Through attention the change at position 5 reaches all later rows, unless there is no attention above it.
    reached = position >= where if layer == 0 else position == where
    assert (np.abs(found[reached, 0]) > 1e-6).all()


def test_skipped_blocks_come_back():
    architecture = architecture_of(tiny_model("llama"))
    before = list(architecture.blocks)
    with blocks_skipped_below(architecture, 1):
        assert architecture.blocks[0] is not before[0]
        assert architecture.blocks[1] is before[1]
    assert list(architecture.blocks) == before


@pytest.mark.oracle
def test_blocks_below_do_not_run():
    architecture = architecture_of(tiny_model("gpt_neox"))
    runs = []
    for number, block in enumerate(architecture.blocks):
        block.register_forward_hook(lambda *_args, number=number: runs.append(number))
    with torch.inference_mode():
        run_from(architecture, 1, torch.randn(1, 5, 16))
    assert runs == [1]


@pytest.mark.oracle
@pytest.mark.parametrize("kind", TINY)
def test_scores_are_the_slope_of_the_loss(kind):
    """A step of 1e-6 of the way to the reference changes the mean loss by 1e-6 of the score."""
    architecture = architecture_of(tiny_model(kind).double())
    blocks = random_blocks(5)
    rows = candidate_rows(blocks)
    references = layer_means(architecture, blocks)
    scores = attribution_scores(architecture, blocks, rows, references, batch_size=2)
    before, step = losses(architecture, blocks, rows).mean(), 1e-6
    for layer in (0, 1):
        for neuron in NEURONS:

            def nudge(_module, inputs, layer=layer, neuron=neuron):
                moved = inputs[0].clone()
                moved[..., neuron] += step * (float(references[layer][neuron]) - moved[..., neuron])
                return (moved,)

            handle = architecture.mlp_output(layer).register_forward_pre_hook(nudge)
            slope = (losses(architecture, blocks, rows).mean() - before) / step
            handle.remove()
            assert slope == pytest.approx(scores[layer][neuron], rel=1e-3, abs=1e-6)


def test_candidates_are_the_best_and_the_sample_holds_none_of_them(rng):
    scores = rng.normal(size=100)
    best, sample = candidates_and_sample(scores, 10, 30, rng)
    assert set(best) == set(np.argsort(-np.abs(scores))[:10])
    assert len(set(sample)) == 30
    assert not set(best) & set(sample)
    assert len(candidates_and_sample(scores, 95, 30, rng)[1]) == 5


@pytest.mark.calibration
def test_miss_rate_bound_holds_in_95_percent_of_draws():
    rng = np.random.default_rng(23)
    held, narrow = 0, 0
    for _ in range(300):
        others = np.where(rng.random(2000) < 0.05, 2.0, 0.1)  # one in twenty screened-out neurons is influential
        bound = miss_rate([3.0, 2.5, 1.0, 0.5], rng.choice(others, 150, replace=False), top=3)
        held += np.mean(others > bound.threshold) <= bound.upper
        narrow += bound.upper < 0.15
    assert held / 300 >= 0.93
    assert narrow / 300 > 0.9


def test_miss_rate_by_hand():
    bound = miss_rate([0.3, -0.9, 0.5], [0.1] * 99, top=2)
    assert bound.threshold == 0.5
    assert (bound.missed, bound.sampled) == (0, 99)
    assert bound.upper == pytest.approx(1 - 0.05 ** (1 / 99))
    assert miss_rate([0.1], [0.5], top=1).upper == 1.0
    with pytest.raises(ValueError, match="2 neurons are wanted from 1"):
        miss_rate([0.1], [], top=2)


@pytest.mark.calibration
def test_interval_of_the_rank_correlation_covers_the_truth():
    rng, r, n_covered = np.random.default_rng(5), 0.6, 0
    truth = 6 / np.pi * np.arcsin(r / 2)  # Spearman's rho of a bivariate normal with correlation r
    for _ in range(400):
        x = rng.normal(size=40)
        _, low, high = rank_correlation(x, r * x + np.sqrt(1 - r**2) * rng.normal(size=40))
        n_covered += low <= truth <= high
    assert 0.92 <= n_covered / 400 <= 0.98


def test_rank_correlation_of_few_or_constant_values():
    assert rank_correlation(np.arange(5.0), np.arange(5.0) ** 3) == pytest.approx((1.0, 1.0, 1.0))
    assert np.isnan(rank_correlation(np.arange(3.0), np.arange(3.0))).all()
    assert np.isnan(rank_correlation(np.arange(5.0), np.zeros(5))).all()


def test_screening_estimates_by_hand():
    exact, first_order = np.array([0.9, -0.5, 0.3, 0.1, -0.6]), np.array([0.8, -0.6, 0.2, 0.1, -0.1])
    sampled = np.array([False, False, False, True, True])
    found = {(group, e.measure): e for group, e in screening_estimates(exact, first_order, sampled, top=2)}
    missed = found["sample", "miss_rate"]
    assert (missed.value, missed.n, missed.ci_low) == (0.5, 2, 0.0)
    assert missed.ci_high == miss_rate([0.9, -0.5, 0.3], [0.1, -0.6], 2).upper
    assert (found["candidates", "threshold"].value, found["candidates", "threshold"].n) == (0.5, 3)
    assert {key for key in found if key[1] == "rank_correlation"} == {
        ("candidates", "rank_correlation"),
        ("sample", "rank_correlation"),
    }
    _, nothing_left_out = screening_estimates(exact, first_order, np.zeros(5, dtype=bool), top=2)[0]
    assert (nothing_left_out.measure, nothing_left_out.n) == ("miss_rate", 0)
    assert nothing_left_out.value == nothing_left_out.ci_high == 0
