"""Row selection, splits, shuffled labels."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from conftest import VOCABULARY, random_blocks

from rareneurons import rows as selection
from rareneurons.bands import Band, Elbow, frequency_table
from rareneurons.errors import CorpusError
from rareneurons.tokens import Blocks


def band(name: str, tokens: np.ndarray, by: str = "target") -> Band:
    return Band(name, by, tokens)


@pytest.mark.oracle
def test_candidates_equal_a_loop_over_positions():
    blocks = random_blocks()
    slow = [
        (blocks.document[b], b, t, blocks.tokens[b, t], blocks.tokens[b, t + 1])
        for b in range(len(blocks.length))
        for t in range(3, blocks.length[b] - 1)
    ]
    found = selection.candidate_rows(blocks)
    assert list(map(tuple, found.to_numpy())) == slow


def test_selection_is_equal_in_size_held_out_by_document_and_in_band(rng):
    blocks = random_blocks(40)
    candidates = selection.candidate_rows(blocks)
    low, high = np.arange(1, 30), np.arange(30, VOCABULARY)
    splits = selection.draw_splits(blocks.document, 0.5, rng)
    rows = selection.select_rows(candidates, [band("a", low), band("b", high, "input")], splits, 60, rng)
    assert selection.condition_names(rows) == ["a", "b"]
    for condition in ("a", "b"):
        for split in selection.SPLITS:
            assert selection.in_condition(rows, condition, split).sum() == 30
    assert rows.loc[rows["in_a"], "target"].isin(low).all()
    assert rows.loc[rows["in_b"], "input"].isin(high).all()
    assert (rows.groupby("document")["split"].nunique() == 1).all()
    assert rows["row"].tolist() == list(range(len(rows)))
    assert (np.diff(rows["block"] * 1000 + rows["position"]) > 0).all()


def test_too_few_rows_name_the_condition(rng):
    blocks = random_blocks(4)
    splits = selection.draw_splits(blocks.document, 0.5, rng)
    with pytest.raises(
        CorpusError,
        match=r"5000 rows per split are required.* 'a' has \d+ rows in the disc.*'a' has \d+ rows in the heldout",
    ):
        selection.select_rows(selection.candidate_rows(blocks), [band("a", np.arange(61))], splits, 10000, rng)


def test_split_needs_two_documents(rng):
    with pytest.raises(CorpusError, match="at least 2"):
        selection.draw_splits(np.array([3, 3]), 0.5, rng)
    assert sorted(selection.draw_splits(np.array([1, 2]), 0.99, rng).values()) == ["discovery", "heldout"]


def test_description_of_conditions(rng):
    blocks = Blocks(random_blocks(30).tokens, random_blocks(30).length, np.arange(30))
    table = frequency_table(np.arange(1, VOCABULARY + 1), [0], VOCABULARY)
    rare = replace(band("rare", np.arange(30, 0, -1)), elbow=Elbow(0.6, "mass", "by kneedle it lies at 0.1"))
    conditions = [rare, band("common", np.arange(VOCABULARY - 1, 30, -1))]
    splits = selection.draw_splits(blocks.document, 0.5, rng)
    rows = selection.select_rows(selection.candidate_rows(blocks), conditions, splits, 20, rng)
    described = selection.describe_conditions(rows, table, conditions, {t: f"t{t}" for t in range(VOCABULARY)})
    assert described["n_rows"].tolist() == [10] * 4
    assert described.groupby("split")["mass"].sum().tolist() == pytest.approx([1, 1])
    assert described["n_types"].tolist() == [30, 30, 30, 30]
    assert described["examples"][0].startswith("t")
    assert described["elbow"].tolist()[:2] == [0.6, 0.6]
    assert described["elbow"].isna().tolist() == [False, False, True, True]
    assert described["elbow_rule"].tolist() == ["mass", "mass", "", ""]
    assert described["elbow_reason"].tolist() == ["by kneedle it lies at 0.1"] * 2 + [""] * 2


def test_rows_of_documents_keeps_whole_documents(rng):
    blocks = random_blocks(20)
    splits = selection.draw_splits(blocks.document, 0.5, rng)
    rows = selection.select_rows(selection.candidate_rows(blocks), [band("a", np.arange(VOCABULARY))], splits, 60, rng)
    part = selection.rows_of_documents(rows, "heldout", 3, rng)
    assert part["document"].nunique() == 3
    assert set(part["split"]) == {"heldout"}
    whole = rows[rows["document"].isin(part["document"])]
    assert len(whole) == len(part)


def two_conditions(rng) -> pd.DataFrame:
    blocks = random_blocks(60)
    splits = selection.draw_splits(blocks.document, 0.5, rng)
    bands = [band("a", np.arange(1, 30)), band("b", np.arange(30, VOCABULARY))]
    return selection.select_rows(selection.candidate_rows(blocks), bands, splits, 200, rng)


def test_rows_of_too_few_documents_are_refused(rng):
    blocks = random_blocks(8)
    splits = selection.draw_splits(blocks.document, 0.5, rng)
    with pytest.raises(
        CorpusError, match=r"rows\.documents: the 10 rows of condition 'a' in the discovery split come from 4"
    ):
        selection.select_rows(selection.candidate_rows(blocks), [band("a", np.arange(VOCABULARY))], splits, 20, rng)


def test_an_empty_condition_is_refused(rng):
    blocks = random_blocks(40)
    splits = selection.draw_splits(blocks.document, 0.5, rng)
    with pytest.raises(CorpusError, match="condition 'a' has 0 rows in the discovery split"):
        selection.select_rows(selection.candidate_rows(blocks), [band("a", np.array([999]))], splits, 20, rng)


def test_shuffled_labels_keep_each_document_s_numbers_and_forget_the_token(rng):
    rows = selection.with_shuffled_labels(two_conditions(rng), ("a", "b"), rng)
    by_document = rows.groupby("document")[["in_a", "in_b", "shuffled_a", "shuffled_b"]].sum()
    assert (by_document["in_a"] == by_document["shuffled_a"]).all()
    assert (by_document["in_b"] == by_document["shuffled_b"]).all()
    assert (rows["shuffled_a"] != rows["shuffled_b"]).all()
    # A rare token carries the rare label as often as chance: about half of the rows here.
    assert 0.4 < rows.loc[rows["in_a"], "shuffled_a"].mean() < 0.65
    assert selection.condition_names(rows) == ["a", "b"]
    masks = selection.condition_split_masks(rows)
    assert list(masks)[-4:] == [
        "shuffled_a/discovery",
        "shuffled_a/heldout",
        "shuffled_b/discovery",
        "shuffled_b/heldout",
    ]
    assert masks["shuffled_a/heldout"].sum() == masks["a/heldout"].sum()


def test_rows_of_conditions_leave_the_others(rng):
    rows = two_conditions(rng)
    part = selection.rows_of_conditions(rows, ["a"])
    assert part["in_a"].all()
    assert len(part) == rows["in_a"].sum()
