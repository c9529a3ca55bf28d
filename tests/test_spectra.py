"""Hill exponents with planted tails; WeightWatcher by hand."""

import contextlib
import io
import logging

import numpy as np
import pytest
import torch

from rareneurons.spectra import (
    correlation_eigenvalues,
    group_spectrum,
    hill_exponent,
    neuron_weights,
    weightwatcher_table,
)


def transcribed_hill(eigenvalues: np.ndarray) -> float:
    """The authors' formula, written out: k = min(max(1, int(0.1 n)), n - 1), no "+1"."""
    n = len(eigenvalues)
    k = min(max(1, int(0.1 * n)), n - 1)
    total = 0.0
    for i in range(k):
        total += np.log(eigenvalues[i] / eigenvalues[k])
    return 1 / (total / k)


@pytest.mark.oracle
@pytest.mark.parametrize("n", [2, 10, 35, 100])
def test_hill_equals_the_transcribed_formula(rng, n):
    eigenvalues = np.sort(rng.pareto(2, n) + 1)[::-1]
    assert hill_exponent(eigenvalues) == pytest.approx(transcribed_hill(eigenvalues))


@pytest.mark.calibration
def test_hill_recovers_a_planted_tail():
    rng = np.random.default_rng(17)
    for exponent in (1.5, 3.0):
        found = [hill_exponent(np.sort(rng.pareto(exponent, 2000) + 1)[::-1]) for _ in range(50)]
        assert np.mean(found) == pytest.approx(exponent, rel=0.05)


def test_hill_of_degenerate_spectra_is_unknown():
    assert np.isnan(hill_exponent(np.array([1.0])))
    assert np.isnan(hill_exponent(np.ones(20)))
    assert np.isnan(hill_exponent(np.array([3.0, 0.0, 0.0])))
    assert np.isnan(hill_exponent(np.array([np.nan, 1.0])))


@pytest.mark.oracle
def test_eigenvalues_are_those_of_the_correlation_matrix(rng):
    weights = rng.normal(size=(12, 40))
    found = correlation_eigenvalues(weights)
    np.testing.assert_allclose(found, np.linalg.eigvalsh(np.corrcoef(weights))[::-1], atol=1e-10)
    assert found.sum() == pytest.approx(12)
    weights[3] = 2.0
    assert np.isnan(correlation_eigenvalues(weights)).all()


@pytest.mark.calibration
def test_shared_direction_is_found_and_noise_is_not():
    rng = np.random.default_rng(19)
    found, false = 0, 0
    members = np.arange(20)
    for _ in range(40):
        weights = rng.normal(size=(100, 32))
        controls = [rng.choice(np.arange(20, 100), 20, replace=False) for _ in range(60)]
        false += group_spectrum({"w_out": weights}, members, controls)[0].p_value < 0.05
        weights[members] += 1.5 * rng.normal(size=32)
        found += group_spectrum({"w_out": weights}, members, controls)[0].p_value < 0.05
    assert found >= 38
    assert false <= 5


def test_neuron_weights_are_named():
    arrays = {"output_weight": np.ones((2, 3)), "input/w_in": np.zeros((2, 3)), "unembedding": np.ones((5, 3))}
    assert set(neuron_weights(arrays)) == {"w_out", "w_in"}


@pytest.mark.oracle
def test_weightwatcher_table_is_what_weightwatcher_says(rng):
    matrices = {
        "block.0.mlp.weight": rng.normal(size=(64, 48)).astype(np.float32),
        "block.1.mlp.weight": (rng.pareto(2, size=(80, 64)) * rng.choice([-1, 1], (80, 64))).astype(np.float32),
        "tiny.weight": rng.normal(size=(5, 64)).astype(np.float32),
    }
    root = logging.getLogger()
    before = root.level, list(root.handlers)
    table = weightwatcher_table(matrices).set_index("matrix")
    assert (root.level, list(root.handlers)) == before
    import weightwatcher

    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        state = {name: torch.from_numpy(matrix) for name, matrix in matrices.items()}
        by_hand = weightwatcher.WeightWatcher(model=state).analyze().set_index("longname")
    for name in list(matrices)[:2]:
        for column in ("alpha", "log_alpha_norm", "stable_rank", "num_pl_spikes"):
            assert table.loc[name, column] == by_hand.loc[name.removesuffix(".weight"), column]
    assert table.loc["tiny.weight", "status"] == "not analysed"
    assert np.isnan(table.loc["tiny.weight", "alpha"])
    assert (table.loc["tiny.weight", "rows"], table.loc["tiny.weight", "columns"]) == (5, 64)
