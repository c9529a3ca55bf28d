"""Means, clustered standard errors and the influence table."""

import numpy as np
import pytest

from rareneurons.influence.sums import (
    InfluenceSums,
    blocked_arrays,
    clustered_mean,
    influence_frame,
    sums_of_arrays,
    with_experts,
)
from rareneurons.tables import INFLUENCE_COLUMNS, CheckpointName


def sums_of(values_by_document: list[np.ndarray]) -> InfluenceSums:
    return InfluenceSums(
        np.arange(len(values_by_document)),
        np.array([len(v) for v in values_by_document]),
        np.stack([v.sum(0) for v in values_by_document]),
        np.stack([np.abs(v).sum(0) for v in values_by_document]),
    )


@pytest.mark.calibration
def test_clustered_error_covers_the_mean_where_a_plain_one_does_not():
    rng = np.random.default_rng(1)
    inside, plain = 0, 0
    for _ in range(300):
        shared = rng.normal(size=(40, 1))
        documents = [shared[d] + 0.3 * rng.normal(size=(8, 1)) for d in range(40)]
        mean, error = clustered_mean(np.stack([v.sum(0) for v in documents]), np.full(40, 8))
        inside += abs(mean[0]) < 2.02 * error[0]
        rows = np.concatenate(documents)
        plain += abs(mean[0]) < 1.97 * rows.std(ddof=1) / np.sqrt(len(rows))
    assert 0.92 <= inside / 300 <= 0.98
    assert plain / 300 < 0.7


def test_single_document_has_no_error():
    mean, error = clustered_mean(np.array([[3.0]]), np.array([2]))
    assert mean[0] == 1.5
    assert np.isnan(error[0])


def test_blocks_keep_totals(rng):
    sums = sums_of([rng.normal(size=(k, 4)) for k in (1, 3, 2, 5, 4)])
    merged = sums_of_arrays(blocked_arrays({"rare/heldout": sums}, 2))["rare/heldout"]
    assert len(merged.n_rows) == 2
    assert merged.n_rows.tolist() == [1 + 2 + 4, 3 + 5]
    np.testing.assert_allclose(merged.signed.sum(0), sums.signed.sum(0))
    np.testing.assert_allclose(merged.absolute[1], sums.absolute[1] + sums.absolute[3])


def test_influence_table(rng):
    sums = sums_of([rng.normal(size=(k, 4)) for k in (2, 3)])
    frame = influence_frame(CheckpointName("m", "step8"), 5, {"rare/heldout": sums, "common/heldout": sums})
    assert list(frame.columns) == INFLUENCE_COLUMNS
    assert len(frame) == 8
    assert frame["neuron"].dtype.kind == "i"
    assert set(frame["step"]) == {8}
    assert set(frame["n_rows"]) == {5}
    np.testing.assert_allclose(frame["mean_delta_loss"][:4], sums.signed.sum(0) / 5)


def test_experts_go_by_the_neuron_s_number(rng):
    table = influence_frame(
        CheckpointName("m", "step8"), 1, {"rare/heldout": sums_of([rng.normal(size=(2, 2))])}, np.array([5, 0])
    )
    found = with_experts(table, np.array([7, 0, 0, 0, 0, 9]))
    assert list(found.columns) == [*INFLUENCE_COLUMNS, "expert"]
    assert found["expert"].tolist() == [9, 7]
    assert with_experts(table, None) is table


def test_blocks_are_the_same_documents_for_every_condition_of_a_split(rng):
    first, second = (
        sums_of([rng.normal(size=(2, 3)) for _ in range(5)]),
        sums_of([rng.normal(size=(1, 3)) for _ in range(2)]),
    )
    second = InfluenceSums(first.document[[1, 4]], second.n_rows, second.signed, second.absolute)
    merged = sums_of_arrays(blocked_arrays({"rare/heldout": first, "common/heldout": second}, 3))
    assert merged["rare/heldout"].n_rows.tolist() == [4, 4, 2]
    assert merged["common/heldout"].n_rows.tolist() == [0, 2, 0]  # its documents stand at places 1 and 4 of five
    np.testing.assert_allclose(merged["common/heldout"].signed[1], second.signed.sum(0))
