"""Requests grow with what a job works on and with each attempt; shapes are the models' own."""

import dataclasses
import math

import numpy as np
import pytest
import yaml
from conftest import NO_CLOSED_FORM, PROJECT, TINY, tiny_model

from rareneurons.attention.heads import ChosenHeads, heads_of_layers, layer_evaluations, planned_ablations
from rareneurons.attention.screening import screening_evaluations
from rareneurons.models.architectures import architecture_of
from rareneurons.planning import costs

PYTHIA_2_8B = costs.Shape(32, 2560, 32, 50304, 10240, tied=False, stored=2)
GPT2 = costs.Shape(12, 768, 12, 50257, 3072, tied=True)


@pytest.mark.oracle
@pytest.mark.parametrize("kind", TINY)
def test_shape_is_the_model_s_own(kind):
    """By config.json, and by the last layer's arrays, against the weights themselves."""
    model = tiny_model(kind)
    architecture = architecture_of(model)
    last = architecture.last_layer()
    neurons, width = last.output_weight.shape
    shape = costs.shape_of(model.config.to_dict())
    assert (shape.neurons, shape.width) == (neurons, width)
    assert (shape.layers, shape.vocabulary) == (architecture.n_layers, len(last.unembedding))
    assert shape.heads == model.config.num_attention_heads
    by_arrays = costs.shape_of_arrays({name: array.shape for name, array in last.arrays().items()})
    assert (by_arrays.neurons, by_arrays.width, by_arrays.vocabulary) == (neurons, width, shape.vocabulary)
    assert by_arrays.closed_form == (kind not in NO_CLOSED_FORM)


@pytest.mark.oracle
@pytest.mark.parametrize(("shape", "published"), [(PYTHIA_2_8B, 2_775_208_960), (GPT2, 124_439_808)])
def test_parameters_are_the_published_ones(shape, published):
    """Without biases, norms and positions: within one percent."""
    assert shape.parameters == pytest.approx(published, rel=0.01)


CONFIG = yaml.safe_load((PROJECT / "config.yaml").read_text())
TRAINING = yaml.safe_load((PROJECT / "config/demo.yaml").read_text())["models"][0]
SIZES = costs.Sizes(
    input_mb=500,
    weights_mb=PYTHIA_2_8B.parameters * 2 / costs.MB,
    shape=PYTHIA_2_8B,
    rows=40_000,
    training=TRAINING["training"],
)


@pytest.mark.parametrize("stage", costs.ESTIMATES)
def test_more_work_asks_for_more_and_so_does_another_attempt(stage):
    nothing = costs.Sizes(training=TRAINING["training"])
    more_rows = CONFIG | {"rows": CONFIG["rows"] | {"rows_per_condition": 20_000}}
    little, much = costs.ESTIMATES[stage](nothing, CONFIG), costs.ESTIMATES[stage](SIZES, more_rows)
    assert 0 < little.memory_mb < much.memory_mb
    assert 0 < little.seconds <= much.seconds
    assert little.seconds + little.shared_seconds("cpu") < much.seconds + much.shared_seconds("cpu")
    first, third = costs.request(much, 1), costs.request(much, 3)
    assert third == costs.Request(first.threads, 3 * first.mem_mb, 3 * first.runtime)
    assert first.mem_mb > much.memory_mb + 300, "a job on a cluster runs inside two other processes"
    assert 60 * first.runtime > much.seconds + much.shared_seconds("cpu") / first.threads


@pytest.mark.parametrize("stage", ["trace", "attention", "other_layers", "top_examples", "weightwatcher"])
def test_a_job_that_opens_a_model_has_room_for_its_weights_in_float32(stage):
    assert costs.ESTIMATES[stage](SIZES, CONFIG).memory_mb > 4 * PYTHIA_2_8B.parameters / costs.MB


def test_trace_has_room_for_what_it_keeps():
    rows = costs.n_rows(CONFIG)
    assert rows == 6 * 10_000
    without = costs.trace(dataclasses.replace(SIZES, weights_mb=0), CONFIG).memory_mb
    assert without > 4 * rows * (10240 + 2560) / costs.MB


@pytest.mark.parametrize("stored", [2, 4])
def test_loading_holds_the_file_and_the_weights_in_float32(stored):
    shape = dataclasses.replace(PYTHIA_2_8B, stored=stored)
    sizes = costs.Sizes(weights_mb=stored * shape.parameters / costs.MB, shape=shape)
    assert sizes.loaded_mb == pytest.approx((stored + 4) * shape.parameters / costs.MB)


@pytest.mark.parametrize("array", ["mlp_norm_gain", "logit_cap"])
def test_norm_after_the_mlp_and_capped_logits_have_no_closed_form(array):
    assert not costs.shape_of_arrays({"output_weight": (24, 16), "unembedding": (61, 16), array: (1,)}).closed_form


def test_no_closed_form_takes_longer():
    tail = dataclasses.replace(SIZES, shape=dataclasses.replace(PYTHIA_2_8B, closed_form=False))
    assert costs.influence(tail, CONFIG).operations > 100 * costs.influence(SIZES, CONFIG).operations


def test_threads_come_with_work_for_them_and_an_accelerator_takes_the_work():
    small, large = costs.Cost(500, 30, 1e9), costs.Cost(500, 30, 1e16)
    assert costs.request(small).threads == 1
    assert costs.request(large).threads == costs.MOST_THREADS
    assert costs.request(large).runtime == math.ceil(10 + 3 * (30 + 1e16 / 2e10 / costs.MOST_THREADS) / 60)
    assert costs.request(costs.Cost(500, 30, logits=1e13)).threads == 2
    assert costs.request(large, accelerator=True).threads == 1
    assert costs.request(large, accelerator=True).runtime < costs.request(large).runtime


@pytest.mark.oracle
def test_attention_counts_the_layer_evaluations_of_its_ablations():
    """Of every head and every layer, and at most those of chosen heads; random sets start in any layer."""
    architecture = architecture_of(tiny_model("llama", num_hidden_layers=4))
    shape = costs.shape_of(architecture.model.config.to_dict())
    settings = {
        "candidates": "all",
        "sample": 2,
        "sign_draws": 3,
        "head_sets": 0,
        "documents": 8,
        "documents_beside": 8,
    }
    everything = planned_ablations(architecture, 0, np.random.default_rng(0))
    assert 4 * costs.attention_passes(shape, settings) == layer_evaluations(4, everything) + 8
    singles = [each for each in everything if (each.unit, each.kind) == ("head", "mean")]
    on_few = layer_evaluations(4, everything) - layer_evaluations(4, singles) + 4
    few = 4 * costs.attention_passes(shape, settings | {"documents_beside": 2})
    assert few == layer_evaluations(4, singles) + 4 + on_few / 4
    heads = heads_of_layers(architecture, range(4))
    chosen = ChosenHeads(tuple(heads[:2] + heads[-2:]), (heads[5], heads[10]), (heads[6], heads[9]), 8)
    some = layer_evaluations(4, planned_ablations(architecture, 0, np.random.default_rng(0), chosen))
    screened = screening_evaluations(4, 7, 2, 3)
    counted = 4 * costs.attention_passes(shape, settings | {"candidates": 2})
    assert some + screened + 8 <= counted <= some + screened + 8 + 2 * 2.5, "two layers have no strongest head besides"
    assert costs.screening_passes(settings) * 4 == screened
