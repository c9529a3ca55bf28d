"""First-order effects of all heads at once against one head at a time: by exact derivatives and by small ablations."""

import numpy as np
import pytest
import torch
from conftest import TINY, random_blocks, tiny_model

from rareneurons.attention.heads import KINDS, heads_of_layers
from rareneurons.attention.row_reader import RowReader
from rareneurons.attention.screening import LOSS, screen_heads, screening_evaluations
from rareneurons.models.architectures import architecture_of
from rareneurons.rows import candidate_rows
from rareneurons.trace import Recorder

GROUP = np.array([1, 4, 7])
PARALLEL = ["gpt_neox", "phi"]


def readouts(varies):
    weights = np.zeros(len(varies))
    weights[GROUP] = [0.5, 0.3, 0.2]
    return {"g": weights, "all": np.full(len(varies), 1 / len(varies)), "none": np.full(len(varies), np.nan)}


def screened(architecture, blocks, rows, masks, draws=1, batch_size=2, seed=0, advance=lambda _: None):
    reader = RowReader(architecture, blocks, rows, batch_size)
    return screen_heads(reader, masks, readouts, draws, np.random.default_rng(seed), advance)


class OneAtATime:
    """Derivatives along one head's replacement, by moving its output a little to both sides."""

    def __init__(self, architecture, blocks, rows):
        self.architecture, self.blocks, self.rows = architecture, blocks, rows
        self.at = rows["block"].to_numpy(), rows["position"].to_numpy()
        self.outputs = self.run()[2]
        everything = candidate_rows(blocks)
        evaluated = everything["block"].to_numpy(), everything["position"].to_numpy()
        self.means = [output[evaluated].mean(0) for output in self.outputs]

    @torch.no_grad()
    def run(self, head=None, change=None):
        """Activations and losses at the rows, and inputs of the attention output projections."""
        architecture = self.architecture
        modules = {layer: architecture.attention_output(layer) for layer in range(architecture.n_layers)}
        modules["mlp"] = architecture.mlp_output(architecture.n_layers - 1)

        def move(_module, inputs):
            moved = inputs[0].clone()
            moved[..., architecture.head_columns(*head)] += change
            return (moved, *inputs[1:])

        handle = modules[head[0]].register_forward_pre_hook(move) if head else None
        with Recorder(modules) as recorder:
            logits = architecture.model(
                input_ids=torch.from_numpy(self.blocks.tokens.astype(np.int64)), use_cache=False
            ).logits
        if handle:
            handle.remove()
        target = torch.from_numpy(self.rows["target"].to_numpy().astype(np.int64))
        loss = torch.nn.functional.cross_entropy(logits[self.at], target, reduction="none")
        outputs = [recorder.inputs[layer] for layer in range(architecture.n_layers)]
        return recorder.inputs["mlp"][self.at].numpy(), loss.numpy(), outputs

    def effects(self, head, kind, step=1e-5):
        """First-order effects (T, N), in standard deviations, and (T,) in nats."""
        own = self.outputs[head[0]][..., self.architecture.head_columns(*head)]
        mean = self.means[head[0]][self.architecture.head_columns(*head)]
        reference = {"mean": mean.expand_as(own), "zero": torch.zeros_like(own), "bos": own[:, :1].expand_as(own)}[kind]
        up, down = (self.run(head, sign * step * (reference - own)) for sign in (1, -1))
        clean = self.run()[0]
        deviation = clean.std(0)
        unit = np.where(deviation > 0, deviation, np.inf)
        return (up[0] - down[0]) / (2 * step) / unit, (up[1] - down[1]) / (2 * step)


@pytest.mark.oracle
@pytest.mark.parametrize("kind", TINY)
def test_a_single_row_and_neuron_have_the_derivative_itself(kind):
    """One sign changes nothing about a square: no sampling error is left."""
    architecture, blocks = architecture_of(tiny_model(kind).double()), random_blocks(3)
    rows = candidate_rows(blocks)
    rows = rows.groupby("block").tail(2).reset_index(drop=True)
    masks = np.eye(len(rows), dtype=bool)[[0, 3]]

    slow = OneAtATime(architecture, blocks, rows)
    clean = slow.run()[0]
    neuron = int(np.argmax(clean.std(0) * np.abs(clean[0])))  # in mixtures, of an expert that the first row chose

    def one_neuron(varies):
        return {"g": np.eye(len(varies))[neuron]}

    reader = RowReader(architecture, blocks, rows, 2)
    found = screen_heads(reader, masks, one_neuron, 1, np.random.default_rng(0), lambda _: None)
    assert found.heads == heads_of_layers(architecture, range(architecture.n_layers))
    for h, head in enumerate(found.heads):
        for k, ablation in enumerate(KINDS):
            change, loss = slow.effects(head, ablation)
            for c, row in enumerate((0, 3)):
                assert found.sizes["g"][c, k, h] == pytest.approx(abs(change[row, neuron]), rel=1e-5, abs=1e-8)
                assert found.sizes[LOSS][c, k, h] == pytest.approx(abs(loss[row]), rel=1e-5, abs=1e-8)
    if kind in PARALLEL:
        last = [head[0] == architecture.n_layers - 1 for head in found.heads]
        assert (found.sizes["g"][..., last] == 0).all()
        assert (found.sizes[LOSS][..., last] > 0).any()
    assert found.sizes["g"].max() > 0.01


@pytest.mark.oracle
@pytest.mark.parametrize("kind", ["gpt_neox", "llama"])
def test_squares_are_unbiased(kind):
    """The mean of many draws lies within four of its standard errors of the exact sum of squares."""
    architecture, blocks = architecture_of(tiny_model(kind).double()), random_blocks(4)
    rows = candidate_rows(blocks)
    masks = np.stack([rows["target"] % 2 == 0, rows["target"] % 2 == 1])
    squares = {name: [] for name in ("g", "all", LOSS)}
    for seed in range(60):
        found = screened(architecture, blocks, rows, masks, batch_size=4, seed=seed)
        for name, drawn in squares.items():
            drawn.append(found.sizes[name] ** 2)
        assert np.isnan(found.sizes["none"]).all()
    slow = OneAtATime(architecture, blocks, rows)
    weights = readouts(np.ones(24))
    for h, head in enumerate(found.heads):
        for k, ablation in enumerate(KINDS):
            change, loss = slow.effects(head, ablation)
            exact = {"g": change**2 @ weights["g"], "all": change**2 @ weights["all"], LOSS: loss**2}
            for name, values in exact.items():
                drawn = np.array(squares[name])[:, :, k, h]
                error = drawn.std(0, ddof=1) / np.sqrt(len(drawn))
                expected = np.array([values[mask].mean() for mask in masks])
                assert (np.abs(drawn.mean(0) - expected) <= 4 * error + 1e-12).all()
                assert (error < 0.35 * expected + 1e-12).all()


def test_more_draws_are_more_exact():
    architecture, blocks = architecture_of(tiny_model("llama").double()), random_blocks(4)
    rows = candidate_rows(blocks)
    masks = np.stack([rows["target"] % 2 == 0, rows["target"] % 2 == 1])
    spread = [
        np.std([screened(architecture, blocks, rows, masks, draws, 4, seed).sizes["all"] for seed in range(12)], axis=0)
        for draws in (1, 16)
    ]
    assert 2.5 < np.median(spread[0]) / np.median(spread[1]) < 6.5  # four


@pytest.mark.parametrize("kind", ["gpt_neox", "llama"])
def test_cost_is_the_stated_number_of_layer_evaluations(kind):
    architecture, blocks = architecture_of(tiny_model(kind).double()), random_blocks(5)
    rows = candidate_rows(blocks)
    masks = np.stack([rows["target"] % 2 == 0, rows["target"] % 2 == 1])
    forward, reported = [], []
    for block in architecture.blocks:
        block.register_forward_pre_hook(lambda _module, inputs: forward.append(len(inputs[0])))
    screened(architecture, blocks, rows, masks, draws=3, advance=reported.append)
    assert sum(forward) == 5 * 2 * architecture.n_layers
    assert sum(reported) == 5 * screening_evaluations(architecture.n_layers, 3, 2, 3)
    assert screening_evaluations(10, 3, 2, 3) == 10 * (2 + 4 * 2 * 3)
