"""Neurons without a closed form through the real graph: other layers, and an architecture with a norm after the MLP."""

import re
import shutil

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from conftest import snakemake, tiny_model
from oracles import hooked_delta_loss
from safetensors.numpy import load_file

from rareneurons.models.checkpoints import open_checkpoint
from rareneurons.rows import condition_names, condition_split_masks
from rareneurons.tables import INFLUENCE_COLUMNS, MEASURE_COLUMNS
from rareneurons.tokens import Blocks
from rareneurons.trace import mean_activations

pytestmark = pytest.mark.workflow
EFFORT = {"candidates": 12, "sample": 12, "top": 4, "documents": 60}  # all documents of the smoke run


@pytest.fixture(scope="module")
def project(tmp_path_factory, smoke_run):
    """A copy of the finished smoke run, in which more can be computed without changing it for other tests."""
    copy = tmp_path_factory.mktemp("more") / "project"
    shutil.copytree(smoke_run, copy, symlinks=True)
    return copy


def overlay(project, name: str, **changes) -> tuple[str, str]:
    config = yaml.safe_load((project / "config/smoke.yaml").read_text()) | changes
    (project / "config" / name).write_text(yaml.safe_dump(config))
    return ("--configfile", f"config/{name}")


def evaluated(results):
    with np.load(results / "inputs/rows/docstrings-512/blocks.npz") as arrays:
        blocks = Blocks(arrays["tokens"], arrays["length"], arrays["document"])
    return blocks, pd.read_parquet(results / "inputs/rows/docstrings-512/rows.parquet")


@pytest.mark.oracle
def test_other_layers_equal_hooked_passes(project):
    """Five candidates and five sampled neurons of layer 0, float64 hooked passes against the table: to 1e-9 nats."""
    layers = overlay(project, "layers.yaml", other_layers={"layers": "all", **EFFORT})
    plan = snakemake(project, "-n", *layers).stdout
    assert set(re.findall(r"^(\w+) +\d+$", plan, flags=re.M)) == {"other_layers", "table", "report", "all", "total"}
    results = project / "results/smoke"
    tables = ("other_layers", "screening")
    snakemake(project, *(f"results/smoke/tables/{name}.csv" for name in tables), *layers)
    joined, screening = (pd.read_csv(results / f"tables/{name}.csv") for name in tables)
    assert list(joined.columns) == [*INFLUENCE_COLUMNS, "role", "first_order_delta_loss"]
    assert list(screening.columns) == [*MEASURE_COLUMNS, "layer"]
    assert set(joined["checkpoint"]) == set(screening["checkpoint"]) == {"step0", "step16"}
    blocks, rows = evaluated(results)
    assert len(joined) == 2 * 24 * 2 * len(condition_names(rows))
    assert set(screening["measure"]) == {"miss_rate", "threshold", "rank_correlation"}

    table = pd.read_parquet(results / "neox-tiny/step16/other_layers.parquet")
    architecture = open_checkpoint(str(results / "neox-tiny/training/step16"), torch.float64)
    mean = mean_activations(architecture, blocks, rows, [0], 8)[0]
    for _, part in table.groupby("role"):
        for neuron in part["neuron"].unique()[:5]:
            twin = hooked_delta_loss(architecture, blocks, rows, neuron, float(mean[neuron]), layer=0)
            for found in part[part["neuron"] == neuron].itertuples():
                mask = (rows[f"in_{found.condition}"] & (rows["split"] == found.split)).to_numpy()
                assert found.n_rows == mask.sum()
                assert found.mean_delta_loss == pytest.approx(twin[mask].mean(), abs=1e-9)
                assert found.mean_abs_delta_loss == pytest.approx(np.abs(twin[mask]).mean(), abs=1e-9)


def beside_the_trained_one(project, name: str, model: torch.nn.Module) -> tuple[str, str]:
    """Overlay with a model in a local folder."""
    model.save_pretrained(project / name)
    models = yaml.safe_load((project / "config/smoke.yaml").read_text())["models"]
    entry = {"name": name, "source": "local", "tokenizer": "docstrings-512", "folders": {"main": name}}
    return overlay(project, f"{name}.yaml", models=[*models, entry])


def assert_equals_hooked_passes(project, name: str, table: pd.DataFrame) -> None:
    """Every second neuron's float64 passes against the table: at most 1e-6 nats apart."""
    results = project / "results/smoke"
    mean = load_file(results / name / "main/trace.safetensors")["mean_activation"]
    architecture = open_checkpoint(str(project / name), torch.float64)
    blocks, rows = evaluated(results)
    assert set(table["neuron"]) == set(range(24))
    assert table["mean_abs_delta_loss"].max() > 1e-2, "effects must be far above the tolerance"
    for neuron in range(0, 24, 2):
        twin = hooked_delta_loss(architecture, blocks, rows, neuron, float(mean[neuron]))
        for found in table[table["neuron"] == neuron].itertuples():
            mask = condition_split_masks(rows)[f"{found.condition}/{found.split}"]
            assert found.mean_delta_loss == pytest.approx(twin[mask].mean(), abs=1e-6)
            assert found.mean_abs_delta_loss == pytest.approx(np.abs(twin[mask]).mean(), abs=1e-6)


@pytest.mark.oracle
def test_norm_after_the_mlp_goes_through_the_tail_and_says_why(project):
    with_olmo = beside_the_trained_one(project, "olmo", tiny_model("olmo2", vocab_size=512))
    snakemake(project, "results/smoke/olmo/main/influence.parquet", *with_olmo)
    results = project / "results/smoke"
    log = (results / "logs/influence/olmo/main.log").read_text()
    assert "no closed form: a norm lies between the last MLP and the residual stream" in log
    table = pd.read_parquet(results / "olmo/main/influence.parquet")
    assert list(table.columns) == INFLUENCE_COLUMNS
    by_document = load_file(results / "olmo/main/influence_by_document.safetensors")
    assert by_document["rare/heldout/signed"].shape == (20, 24)
    assert_equals_hooked_passes(project, "olmo", table)


@pytest.mark.oracle
def test_mixture_with_a_padded_vocabulary(project):
    """Experts and a shared one; the model has eight words more than the tokenizer."""
    with_mixture = beside_the_trained_one(project, "mixture", tiny_model("qwen2_moe", vocab_size=520))
    results = project / "results/smoke/mixture/main"
    wanted = ["influence", "neuron_types", "spectra", "no_plateau_bands", "weightwatcher", "coordination"]
    snakemake(project, *(f"results/smoke/mixture/main/{name}.parquet" for name in wanted), *with_mixture)
    table = pd.read_parquet(results / "influence.parquet")
    assert list(table.columns) == [*INFLUENCE_COLUMNS, "expert"]
    assert (table["expert"] == (table["neuron"] // 4).clip(upper=3)).all()
    assert_equals_hooked_passes(project, "mixture", table)
    matrices = pd.read_parquet(results / "weightwatcher.parquet")["matrix"]
    assert matrices.str.contains(r"layers\.1\.mlp\.experts\.\d\.").sum() == 9
