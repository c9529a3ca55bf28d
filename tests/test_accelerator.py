"""The same numbers on CUDA as on the CPU; skipped where there is no such device."""

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import NO_CLOSED_FORM, TINY, random_blocks, tiny_model

from rareneurons.attention.estimates import AttentionEvidence, AttentionSettings, attention_estimates
from rareneurons.groups import ControlledGroup
from rareneurons.influence.last_mlp import influence_by_document
from rareneurons.influence.other_layers import OtherLayersSettings, influence_of_layers
from rareneurons.joint.ablation import AblatedRows, joint_effects
from rareneurons.models.architectures import architecture_of
from rareneurons.models.checkpoints import open_checkpoint
from rareneurons.rows import candidate_rows
from rareneurons.tables import MEASURE_KEYS, CheckpointName
from rareneurons.trace import trace_rows
from rareneurons_jobs.checkpoint_job import smaller_batch_if_needed

pytestmark = [
    pytest.mark.oracle,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]


def traced(kind: str, device: str, folder) -> tuple:
    tiny_model(kind).save_pretrained(folder)
    architecture = open_checkpoint(str(folder), device=device)
    blocks = random_blocks(8)
    rows = candidate_rows(blocks)
    return architecture.last_layer(), vars(trace_rows(architecture, blocks, rows, 3)), rows


def effects(layer, trace, rows, memory_bytes: int) -> np.ndarray:
    everything = {"all": np.ones(len(rows), dtype=bool)}
    columns = (rows[name].to_numpy() for name in ("target", "document"))
    sums, _ = influence_by_document(
        layer, trace, trace["mean_activation"], *columns, everything, memory_bytes=memory_bytes
    )
    return sums["all"].signed.sum(0) / len(rows)


@pytest.mark.parametrize("kind", TINY)
def test_trace_and_influence(kind, tmp_path):
    layer, expected, rows = traced(kind, "cpu", tmp_path / "cpu")
    on_cuda, found, _ = traced(kind, "cuda", tmp_path / "cuda")
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, atol=2e-4, rtol=2e-4, err_msg=name)
    memory = 2**26 if kind in NO_CLOSED_FORM else 2**20
    slow = effects(layer, expected, rows, memory)
    assert np.abs(slow).max() > 0.001
    # The device's arithmetic alone, then all of it.
    np.testing.assert_allclose(effects(on_cuda, expected, rows, memory), slow, atol=1e-6, rtol=0)
    np.testing.assert_allclose(effects(on_cuda, found, rows, memory), slow, atol=2e-5, rtol=0)


@pytest.mark.parametrize("kind", ["gpt_neox", "llama", *NO_CLOSED_FORM])
def test_joint_ablation(kind, tmp_path):
    layer, trace, rows = traced(kind, "cpu", tmp_path / "cpu")
    on_cuda, _, _ = traced(kind, "cuda", tmp_path / "cuda")
    mine = AblatedRows(trace["residual"], trace["activation"], trace["mean_activation"], rows["target"].to_numpy())
    slow, found = (joint_effects(each, mine, [np.arange(3), np.arange(24)]) for each in (layer, on_cuda))
    for name in ("delta_loss", "divergence", "clean_loss"):
        np.testing.assert_allclose(getattr(found, name), getattr(slow, name), atol=2e-5, rtol=1e-5, err_msg=name)


@pytest.mark.parametrize("kind", ["gpt_neox", "llama"])
def test_other_layers(kind):
    tables = []
    for device in ("cpu", "cuda"):
        architecture = architecture_of(tiny_model(kind).double().to(device))
        blocks = random_blocks(8)
        rows = candidate_rows(blocks)
        rows["split"] = np.where(rows["block"] % 2, "heldout", "discovery")
        rows = rows.assign(in_rare=rows["position"] % 2 == 0, in_common=rows["position"] % 2 == 1)
        effort = OtherLayersSettings(candidates=6, sample=9, top=2, documents=10, batch_size=3, neurons_per_pass=4)
        rng = np.random.default_rng(1)
        name = CheckpointName("tiny", "step3")
        tables.append(influence_of_layers(architecture, name, blocks, rows, "all", "mean", effort, rng)[0])
    # Rotary angles are float32 in transformers, whatever the model's precision is: 3e-8 nats between the devices.
    pd.testing.assert_frame_equal(*tables, check_exact=False, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("screened", [{}, {"candidates": 1, "sample": 1, "sign_draws": 2}])
@pytest.mark.parametrize("kind", ["gpt_neox", "gpt2", "llama"])
def test_attention(kind, screened):
    """Effects of heads in float64; p-values are left out, which a rank that changes places moves by a step."""
    tables = []
    for device in ("cpu", "cuda"):
        blocks = random_blocks(6)
        rows = candidate_rows(blocks).assign(split="heldout", in_rare=lambda table: table["target"] % 2 == 0)
        rows["in_common"] = ~rows["in_rare"]
        controls = np.arange(3, 24).reshape(7, 3)
        groups = {"plateau": ControlledGroup(np.arange(3), {"random": controls, "matched": controls})}
        architecture = architecture_of(tiny_model(kind).double().to(device))
        name, settings = CheckpointName("tiny", "step4"), AttentionSettings(2, 5, 6, 4, 60, 40, 0.05, **screened)
        pair = ("rare", "common")
        evidence = AttentionEvidence(name, pair, rows, discovery=rows, architecture=architecture, blocks=blocks)
        found = attention_estimates(evidence, groups, settings, np.random.default_rng(0))
        tables.append((found.table, found.products["heads"]))
    for found, expected in zip(*tables, strict=True):
        assert found[MEASURE_KEYS].equals(expected[MEASURE_KEYS])
        effects = found["measure"].str.match("head_effect|layer_effect|delta_loss|pattern_|first_token|screened_")
        assert effects.sum() > 10
        numbers = ["value", "null_mean"]
        pd.testing.assert_frame_equal(
            found.loc[effects, numbers], expected.loc[effects, numbers], check_exact=False, atol=1e-6, rtol=1e-5
        )


@pytest.mark.faults
def test_out_of_memory_of_the_device_halves_the_batch():
    free = torch.cuda.mem_get_info()[0]
    taken = smaller_batch_if_needed(
        lambda eighths: torch.empty(eighths * (free // 8), dtype=torch.uint8, device="cuda").numel(), 12, "batch"
    )
    assert taken == 6 * (free // 8)
