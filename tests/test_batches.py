"""Batches against blocks that are read whole, in their own order."""

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import TINY, random_blocks, tiny_model

from rareneurons.attention.heads import planned_ablations
from rareneurons.attention.patterns import attention_patterns
from rareneurons.attention.routing import head_effects
from rareneurons.batches import Batch, batches_of_rows
from rareneurons.influence.rerun import rerun_delta_loss
from rareneurons.influence.screening import attribution_scores
from rareneurons.models.architectures import architecture_of
from rareneurons.rows import candidate_rows, evaluated_rows
from rareneurons.tokens import Blocks
from rareneurons.trace import mean_activations, trace_rows

CPU = torch.device("cpu")


def unequal_blocks(n_blocks: int = 9, length: int = 24) -> Blocks:
    """Blocks of 6 to ``length`` tokens."""
    blocks = random_blocks(n_blocks, length)
    lengths = np.random.default_rng(4).integers(6, length + 1, size=n_blocks).astype(np.int32)
    return Blocks(blocks.tokens, lengths, blocks.document)


def few_rows(blocks: Blocks) -> pd.DataFrame:
    """One row in three, none of block 2; most blocks end after their last row."""
    everything = candidate_rows(blocks)
    return everything[everything["block"] != 2].iloc[::3].reset_index(drop=True)


def whole_batches(blocks: Blocks, rows: pd.DataFrame, batch_size: int, device: torch.device) -> list[Batch]:
    """The slow twin: blocks in their own order, each read to the end of the padding."""
    block, position = rows["block"].to_numpy(), rows["position"].to_numpy()
    needed, found = np.unique(block), []
    for first in range(0, len(needed), batch_size):
        batch = needed[first : first + batch_size]
        mine = np.flatnonzero(np.isin(block, batch))
        at = torch.from_numpy(np.searchsorted(batch, block[mine])), torch.from_numpy(position[mine])
        found.append(Batch(torch.from_numpy(blocks.tokens[batch].astype(np.int64)).to(device), mine, at))
    return found


def test_each_row_lies_once_and_where_its_token_is():
    blocks = unequal_blocks()
    rows = few_rows(blocks)
    batches = batches_of_rows(blocks, rows, 3, CPU)
    assert sorted(np.concatenate([batch.rows for batch in batches])) == list(range(len(rows)))
    for batch in batches:
        assert batch.tokens.dtype == torch.int64
        assert batch.tokens[batch.at].tolist() == rows["input"].to_numpy()[batch.rows].tolist()
        assert (np.diff(batch.rows) > 0).all()


def test_batches_end_with_a_row_and_get_shorter():
    blocks = unequal_blocks()
    rows = few_rows(blocks)
    batches = batches_of_rows(blocks, rows, 3, CPU)
    widths = [batch.tokens.shape[1] for batch in batches]
    assert widths == [int(batch.at[1].max()) + 1 for batch in batches]
    assert widths == sorted(widths, reverse=True)
    assert [len(batch.tokens) for batch in batches] == [3, 3, 2]
    ends = sorted((rows.groupby("block")["position"].max() + 1).tolist(), reverse=True)
    assert widths == ends[::3]


def test_rows_of_any_order_find_their_places():
    blocks = unequal_blocks()
    rows = few_rows(blocks).sample(frac=1, random_state=0).reset_index(drop=True)
    for batch in batches_of_rows(blocks, rows, 2, CPU):
        assert batch.tokens[batch.at].tolist() == rows["input"].to_numpy()[batch.rows].tolist()


def test_evaluated_rows_know_which_are_selected():
    blocks = unequal_blocks()
    rows = few_rows(blocks)
    evaluated = evaluated_rows(blocks, rows)
    assert set(evaluated["block"]) == set(rows["block"])
    selected = evaluated[evaluated["row"] >= 0]
    pd.testing.assert_frame_equal(selected[["block", "position"]].reset_index(drop=True), rows[["block", "position"]])
    assert selected["row"].tolist() == list(range(len(rows)))


def _stages(architecture, blocks: Blocks, rows: pd.DataFrame) -> dict[str, np.ndarray]:
    """All that is read from passes over batches, by name."""
    trace = trace_rows(architecture, blocks, rows, 3)
    found = {f"trace.{name}": value for name, value in vars(trace).items()}
    means = mean_activations(architecture, blocks, rows, [0, 1], 3)
    found |= {f"means.{layer}": value for layer, value in means.items()}
    scores = attribution_scores(architecture, blocks, rows, means, 3)
    found |= {f"scores.{layer}": value for layer, value in scores.items()}
    found["rerun"] = rerun_delta_loss(architecture, blocks, rows, 0, [0, 7, 23], means[0], 3, 2)
    patterns = attention_patterns(architecture, blocks, rows, 4, 3)
    found |= {f"patterns.{name}": value for name, value in vars(patterns).items()}
    masks = np.stack([rows["position"] % 2 == 0, rows["position"] % 3 > 0])
    ablations = planned_ablations(architecture, 4, np.random.default_rng(0))

    def readouts(varies):
        return {"all": varies / varies.sum()}

    effects = head_effects(architecture, blocks, rows, masks, ablations, readouts, {"some": np.arange(3)}, 3, 2)
    found["heads.by_neuron"] = effects.by_neuron
    return found | {f"heads.{name}": value for name, value in effects.by_document.items()}


@pytest.mark.oracle
@pytest.mark.parametrize("kind", TINY)
def test_sorted_and_cut_batches_change_nothing(kind, monkeypatch):
    """Every stage that runs the model, in the rows' order, to float64's rounding (the trace is stored as float32)."""
    architecture, blocks = architecture_of(tiny_model(kind).double()), unequal_blocks()
    rows = few_rows(blocks)
    fast = _stages(architecture, blocks, rows)
    for module in ("trace", "influence.rerun", "influence.screening", "attention.patterns", "attention.row_reader"):
        monkeypatch.setattr(f"rareneurons.{module}.batches_of_rows", whole_batches)
    slow = _stages(architecture, blocks, rows)
    for name, value in slow.items():
        # transformers computes rotary angles, and eager attention its softmax, in float32
        loose = (
            {"atol": 2e-6, "rtol": 1e-5} if name.startswith(("trace.", "patterns.")) else {"atol": 1e-9, "rtol": 1e-6}
        )
        np.testing.assert_allclose(fast[name], value, err_msg=name, **loose)
