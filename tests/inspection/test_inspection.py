"""A model in memory: the examples of the documentation run, and mistakes are named."""

import doctest
from dataclasses import fields
from importlib import import_module

import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import PROJECT
from oracles import hooked_delta_loss
from planted_runs import LENGTH

import rareneurons
from rareneurons.corpus import package_docstrings
from rareneurons.errors import CheckpointError, ConfigurationError, CorpusError, RunError
from rareneurons.inspection.auditing import LARGEST_PATH_RATIO, SMALLEST_CLOSENESS
from rareneurons.inspection.measurements import REGIMES
from rareneurons.inspection.sizes import DEFAULT
from rareneurons.inspection.verdicts import BOUNDS
from rareneurons.models.training import Shape, untrained_model
from rareneurons.rows import candidate_rows
from rareneurons.tokens import document_blocks, train_tokenizer
from rareneurons.trace import trace_rows

FEW = rareneurons.Sizes(
    block_length=32,
    controls=20,
    shuffles=5,
    joint_rows=40,
    joint_pairs=40,
    joint_controls=5,
    bootstrap=10,
    null_curves=39,
    power_draws=2,
    shifts=5,
    rotations=5,
    plants=2,
    spectrum_draws=3,
)
BANDS = {"rare": (0.5, 1), "common": (0, 0.5), "sizes": FEW, "progress": False}
PLACES = ("opening", "effects", "measurements", "verdicts", "drawing", "storing", "sentence", "top_examples")


@pytest.fixture(scope="module")
def texts():
    return [text for text in package_docstrings("networkx") if len(text) > 300][:60]


@pytest.fixture(scope="module")
def tokenizer(texts):
    return train_tokenizer(texts, 300)


@pytest.fixture(scope="module")
def transformers_model():
    return untrained_model(Shape(16, 1, 2, 64), 300, 2 * LENGTH, 0)


@pytest.fixture(scope="module")
def open_model(transformers_model, tokenizer):
    return rareneurons.load(transformers_model, tokenizer=tokenizer)


@pytest.fixture(scope="module")
def measured(open_model, texts):
    return rareneurons.measure(open_model, texts, [3, 5, 8, 13], **BANDS)


def test_examples_of_the_documentation(transformers_model, tokenizer, open_model, texts, measured, tmp_path):
    known = {
        "rareneurons": rareneurons,
        "transformers_model": transformers_model,
        "tokenizer": tokenizer,
        "open_model": open_model,
        "texts": texts,
        "few": FEW,
        "found": measured,
        "folder": tmp_path,
    }
    for place in PLACES:
        result = doctest.testmod(import_module(f"rareneurons.inspection.{place}"), extraglobs=known)
        assert result.attempted > 0, place
        assert result.failed == 0, place


def test_without_neurons_the_workflow_s_groups_are_measured_and_decided(open_model, texts):
    found = rareneurons.measure(open_model, texts, measures=["joint", "coordination", "neuron_types"], **BANDS)
    without = {"top_33_without_types", "selective_33_without_types"}
    assert {"top_33", "selective_33"} | without <= set(found.tables["joint"]["group"])
    assert without <= set(found.tables["coordination"]["group"])
    assert not without & set(found.tables["neuron_types"]["group"])
    claims = rareneurons.claims(found)["claim"].tolist()
    assert claims == ["C1", "C2", "C8", "C3", "C8s", "C3s", "S1", "P1a", "P1b", "P2"]


def test_claims_that_named_neurons_decide(measured):
    assert rareneurons.claims(measured)["claim"].tolist() == ["C8", "C3", "C4", "P1a"]


def test_named_neurons_are_called_by_their_name(open_model, texts):
    found = rareneurons.measure(open_model, texts, {"mine": range(6)}, measures=["joint"], **BANDS)
    (row,) = rareneurons.claims(found).to_dict("records")
    assert row["group"] == "mine"
    assert "the 6 neurons named 'mine'" in row["sentence"]


def test_same_seed_same_numbers_other_seed_other_rows(open_model, texts):
    one, again, other = (rareneurons.influence(open_model, texts, **BANDS, seed=seed) for seed in (0, 0, 1))
    assert one.equals(again)
    assert not one.equals(other)


def test_effects_of_one_text_are_those_of_hooked_passes(open_model, texts):

    found = rareneurons.where(open_model, texts[0], top=1)
    blocks = document_blocks(open_model.tokenizer, pd.DataFrame({"document": [0], "text": texts[:1]}), 2 * LENGTH)
    rows = candidate_rows(blocks)
    mean = trace_rows(open_model.architecture, blocks, rows, 1).mean_activation
    for place in (0, len(rows) - 1):
        neuron = int(found["neuron"].iloc[place])
        expected = hooked_delta_loss(open_model.architecture, blocks, rows, neuron, float(mean[neuron]))[place]
        assert found["delta_loss"].iloc[place] == pytest.approx(expected, rel=0.02, abs=2e-6)


@pytest.mark.faults
def test_mistakes_are_named(open_model, texts, transformers_model, tmp_path):
    with pytest.raises(ConfigurationError, match="neurons: found 64, but the last MLP .* has 64 neurons"):
        rareneurons.joint(open_model, texts, [64])
    with pytest.raises(ConfigurationError, match="neurons: found 3 more than once"):
        rareneurons.joint(open_model, texts, [3, 3])
    with pytest.raises(ConfigurationError, match="rare: found 'rarest'; expected one of paper_rare"):
        rareneurons.influence(open_model, texts, rare="rarest")
    with pytest.raises(CorpusError, match="texts: found 'no such file'"):
        rareneurons.influence(open_model, "no such file")
    with pytest.raises(CorpusError, match=r"blocks\.npz; expected the rows of a run"):
        rareneurons.influence(open_model, tmp_path)
    with pytest.raises(CorpusError, match="found no tokenizer beside the model"):
        rareneurons.influence(rareneurons.load(transformers_model), texts)
    with pytest.raises(CheckpointError, match="found no such folder"):
        rareneurons.load(str(tmp_path / "nothing"))
    with pytest.raises(RunError, match=r"found no claims\.csv"):
        rareneurons.claims(tmp_path)


def test_defaults_are_those_of_the_configuration():
    config = yaml.safe_load((PROJECT / "config.yaml").read_text())
    joint, organization = config["joint"], config["organization"]
    expected = {
        "documents": config["rows"]["documents"],
        "block_length": config["rows"]["block_length"],
        "rows_per_condition": None,
        "batch_size": config["trace"]["batch_size"],
        "memory_gib": config["influence"]["memory_gib"],
        "controls": config["groups"]["controls"],
        "shuffles": config["groups"]["shuffles"],
        "joint_rows": joint["rows"],
        "joint_pairs": joint["pairs"],
        "joint_controls": joint["controls"],
        "bootstrap": joint["bootstrap"],
        "null_curves": config["regimes"]["null_curves"],
        "power_draws": config["regimes"]["power_draws"],
        "shifts": organization["shifts"],
        "rotations": organization["rotations"],
        "plants": organization["plants"],
        "spectrum_draws": config["spectra"]["draws"],
    }
    assert {field.name: getattr(DEFAULT, field.name) for field in fields(DEFAULT)} == expected
    assert (config["audit"]["largest_path_ratio"], config["audit"]["smallest_closeness"]) == (
        LARGEST_PATH_RATIO,
        SMALLEST_CLOSENESS,
    )
    of_one_checkpoint = {"plateau_alpha": 0.05, "permutations": config["dynamics"]["permutations"]}
    shapes = {name: config["regimes"][name] for name in ("flatness", "excess")}
    assert vars(BOUNDS) == config["claims"] | shapes | of_one_checkpoint
    assert REGIMES.tops == tuple(config["regimes"]["tops"])
    assert REGIMES.cuts == tuple(config["regimes"]["cuts"])
    assert REGIMES.overlap == config["regimes"]["overlap"]
    assert np.isclose(REGIMES.alpha, BOUNDS.plateau_alpha)


@pytest.mark.usefixtures("style")
def test_every_figure_can_be_drawn_of_named_neurons(measured):
    drawn = rareneurons.figures(measured)
    assert sorted(drawn) == ["coordination_rows", "loss_by_frequency", "organization"]
    assert all(figure.axes for figure in drawn.values())
