"""WeightWatcher's table equals WeightWatcher called by hand, and says what it did not analyse."""

import contextlib
import io
import logging

import numpy as np
import pytest
import torch

from rareneurons.spectra.layers import weightwatcher_table


@pytest.mark.oracle
def test_weightwatcher_table_is_what_weightwatcher_says(rng):
    """Every column, to the last digit, its own randomised baseline from the same seed among them."""
    matrices = {
        "block.0.mlp.weight": rng.normal(size=(64, 48)).astype(np.float32),
        "block.1.mlp.weight": (rng.pareto(2, size=(80, 64)) * rng.choice([-1, 1], (80, 64))).astype(np.float32),
        "tiny.weight": rng.normal(size=(5, 64)).astype(np.float32),
    }
    root = logging.getLogger()
    before = root.level, list(root.handlers)
    np.random.seed(3)  # noqa: NPY002
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    table = weightwatcher_table(matrices, 7).set_index("matrix")
    assert (root.level, list(root.handlers)) == before
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002
    import weightwatcher

    np.random.seed(7)  # noqa: NPY002
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        state = {name: torch.from_numpy(matrix) for name, matrix in matrices.items()}
        by_hand = weightwatcher.WeightWatcher(model=state).analyze(randomize=True).set_index("longname")
    for name in list(matrices)[:2]:
        for column in set(table.columns) - {"rows", "columns", "status"}:
            assert table.loc[name, column] == by_hand.loc[name.removesuffix(".weight"), column], column
    assert 0.8 < table.loc["block.0.mlp.weight", "ww_softrank"] < 1.25, "a random matrix looks like its shuffled self"
    assert table.loc["tiny.weight", "status"] == "not analysed"
    assert np.isnan(table.loc["tiny.weight", "alpha"])
    assert (table.loc["tiny.weight", "rows"], table.loc["tiny.weight", "columns"]) == (5, 64)


def test_degenerate_matrices_are_said(rng):
    matrices = {
        "constant.weight": np.ones((64, 48), dtype=np.float32),
        "zero.weight": np.zeros((64, 48), dtype=np.float32),
        "rank_two.weight": (rng.normal(size=(64, 2)) @ rng.normal(size=(2, 48))).astype(np.float32),
    }
    table = weightwatcher_table(matrices, 0).set_index("matrix")
    for name in ("constant.weight", "zero.weight"):
        assert table.loc[name, "status"] == "failed"
        assert table.loc[name, ["alpha", "log_alpha_norm", "num_pl_spikes"]].isna().all()
    assert table.loc["rank_two.weight", "weak_rank_loss"] == 46
    assert table.loc["rank_two.weight", "ww_softrank"] < 0.3


def test_nothing_to_analyse_is_a_table_all_the_same(rng):
    table = weightwatcher_table({"tiny.weight": rng.normal(size=(5, 64)).astype(np.float32)}, 0)
    assert table["status"].tolist() == ["not analysed"]
    assert table["alpha"].isna().all()
