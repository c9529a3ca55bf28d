"""Frequencies, elbows, bands, row selection."""

import numpy as np
import pytest
from conftest import VOCABULARY, random_blocks

from rareneurons import rows as selection
from rareneurons.errors import ConfigurationError, CorpusError
from rareneurons.tokens import Blocks


def zipf(n: int, exponent: float = 1.0) -> np.ndarray:
    return np.round(1e9 / np.arange(1, n + 1) ** exponent).astype(np.int64)


def test_frequency_table_leaves_out_zero_counts_and_special_ids():
    table = selection.frequency_table(np.array([9, 0, 5, 7, 5]), left_out=[0, 99])
    assert table["token"].tolist() == [3, 2, 4]
    assert table["rank"].tolist() == [1, 2, 3]
    assert table["rank_fraction"].tolist() == [0, 0.5, 1]
    assert table["cumulative_mass"].tolist() == pytest.approx([7 / 17, 12 / 17, 1])


def test_counts_without_types_are_refused():
    with pytest.raises(CorpusError, match="0 of 3 ids"):
        selection.frequency_table(np.zeros(3, dtype=int), [])


def test_kneedle_finds_a_planted_elbow():
    counts = zipf(5000)
    counts[2000:] = np.round(counts[1999] * (np.arange(2001, 5001) / 2000.0) ** -6)
    table = selection.frequency_table(counts, [])
    assert 1500 <= selection.elbow_rank(table, "kneedle") <= 2500
    assert 0.3 < selection.elbow_fraction(table, "kneedle", 0.99) < 0.5


def test_mass_elbow_is_the_first_rank_with_that_mass():
    table = selection.frequency_table(np.array([50, 30, 15, 5]), [])
    assert selection.elbow_rank(table, "mass", 0.8) == 2
    assert selection.elbow_rank(table, "mass", 0.81) == 3
    with pytest.raises(ConfigurationError, match=r"rows\.elbow\.rule"):
        selection.elbow_rank(table, "guess")


def test_bands_split_the_types():
    table = selection.frequency_table(zipf(101), [])
    conditions = [
        {"name": "common", "band": [0, 0.15]},
        {"name": "rare", "band": [0.15, "elbow"]},
        {"name": "tail", "band": ["elbow", 1]},
    ]
    parts = [selection.band_tokens(table, band) for band in selection.bands(conditions, 0.6)]
    assert [len(part) for part in parts] == [15, 45, 41]
    assert sorted(np.concatenate(parts)) == list(range(101))


def test_band_that_the_elbow_turns_around_is_refused():
    with pytest.raises(ConfigurationError, match=r"'rare' runs from 0.7000 to 0.6000"):
        selection.bands([{"name": "rare", "band": [0.7, "elbow"]}], 0.6)


def test_band_without_types_is_refused():
    table = selection.frequency_table(zipf(5), [])
    with pytest.raises(ConfigurationError, match="holds none of 5 types"):
        selection.band_tokens(table, selection.Band("thin", 0.3, 0.4))


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
    rows = selection.select_rows(candidates, {"a": ("target", low), "b": ("input", high)}, splits, 60, rng)
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
    with pytest.raises(CorpusError, match=r"condition 'a' has \d+ rows in the discovery split, 5000"):
        selection.select_rows(selection.candidate_rows(blocks), {"a": ("target", np.arange(61))}, splits, 10000, rng)


def test_split_needs_two_documents(rng):
    with pytest.raises(CorpusError, match="at least 2"):
        selection.draw_splits(np.array([3, 3]), 0.5, rng)
    assert sorted(selection.draw_splits(np.array([1, 2]), 0.99, rng).values()) == ["discovery", "heldout"]


def test_description_of_conditions(rng):
    blocks = Blocks(random_blocks(30).tokens, random_blocks(30).length, np.arange(30))
    table = selection.frequency_table(np.arange(1, VOCABULARY + 1), [0])
    bands = [selection.Band("rare", 0.5, 1.0), selection.Band("common", 0.0, 0.5)]
    by_condition = {band.name: (band.by, selection.band_tokens(table, band)) for band in bands}
    splits = selection.draw_splits(blocks.document, 0.5, rng)
    rows = selection.select_rows(selection.candidate_rows(blocks), by_condition, splits, 20, rng)
    described = selection.describe_conditions(rows, table, bands, {t: f"t{t}" for t in range(VOCABULARY)})
    assert described["n_rows"].tolist() == [10] * 4
    assert described.groupby("split")["mass"].sum().tolist() == pytest.approx([1, 1])
    assert described["n_types"].tolist() == [30, 30, 30, 30]
    assert described["examples"][0].startswith("'t")


def test_rows_of_documents_keeps_whole_documents(rng):
    blocks = random_blocks(20)
    splits = selection.draw_splits(blocks.document, 0.5, rng)
    rows = selection.select_rows(
        selection.candidate_rows(blocks), {"a": ("target", np.arange(VOCABULARY))}, splits, 60, rng
    )
    part = selection.rows_of_documents(rows, "heldout", 3, rng)
    assert part["document"].nunique() == 3
    assert set(part["split"]) == {"heldout"}
    whole = rows[rows["document"].isin(part["document"])]
    assert len(whole) == len(part)
