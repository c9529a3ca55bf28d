"""Frequencies, elbows, bands and presets."""

import numpy as np
import pytest

from rareneurons import bands
from rareneurons.errors import ConfigurationError, CorpusError

KNEEDLE = bands.ElbowRule("kneedle", 0.99, 2000)


def zipf(n: int, exponent: float = 1.0) -> np.ndarray:
    return np.round(1e9 / np.arange(1, n + 1) ** exponent).astype(np.int64)


def table_of(counts: np.ndarray):
    return bands.frequency_table(counts, [], len(counts))


def bands_of(conditions, counts, elbow=KNEEDLE, padded_to=0):
    return {band.name: band for band in bands.bands(conditions, table_of(counts), counts, padded_to, elbow)}


def test_frequency_table_leaves_out_zero_counts_and_special_ids():
    table = bands.frequency_table(np.array([9, 0, 5, 7, 5]), [0, 99], 5)
    assert table["token"].tolist() == [3, 2, 4]
    assert table["rank"].tolist() == [1, 2, 3]
    assert table["rank_fraction"].tolist() == [0, 0.5, 1]
    assert table["cumulative_mass"].tolist() == pytest.approx([7 / 17, 12 / 17, 1])


def test_counts_without_types_are_refused():
    with pytest.raises(CorpusError, match="0 of 3 ids"):
        table_of(np.zeros(3, dtype=int))


def test_counts_shorter_than_the_vocabulary_are_refused():
    with pytest.raises(CorpusError, match=r"found shape \(3,\), expected one count for each of the tokenizer's 4 ids"):
        bands.frequency_table(np.ones(3, dtype=int), [], 4)
    assert len(bands.frequency_table(np.ones(5, dtype=int), [], 4)) == 5


def test_kneedle_finds_a_planted_elbow():
    counts = zipf(5000)
    counts[2000:] = np.round(counts[1999] * (np.arange(2001, 5001) / 2000.0) ** -6)
    assert 1500 <= bands.elbow_rank(table_of(counts), "kneedle") <= 2500
    assert 0.3 < bands.elbow_fraction(table_of(counts), counts, 0, KNEEDLE) < 0.5


def test_mass_elbow_is_the_first_rank_with_that_mass():
    table = table_of(np.array([50, 30, 15, 5]))
    assert bands.elbow_rank(table, "mass", 0.8) == 2
    assert bands.elbow_rank(table, "mass", 0.81) == 3
    with pytest.raises(ConfigurationError, match=r"rows\.elbow\.rule"):
        bands.elbow_rank(table, "guess")


@pytest.mark.parametrize(("unused", "padded_to"), [(150, 0), (40, 10_060)])
def test_the_authors_elbow_is_where_their_window_touches_the_unused_ids(unused, padded_to):
    """It moves one for one with the window, whatever the shape of the curve: an artefact of add-one smoothing."""
    counts = zipf(10_000, 1.1)
    counts[-unused:] = 0
    probabilities = bands.smoothed_probabilities(counts, padded_to)
    used = 10_000 - unused
    for window in (500, 1000, 2000):
        assert bands.window_elbow_rank(probabilities, window) == used - window + 1


@pytest.mark.oracle
def test_window_elbow_equals_a_loop_of_regressions():
    counts = zipf(600, 0.8)
    counts[-30:] = 0
    probabilities = bands.smoothed_probabilities(counts, 0)
    x, y, window = np.log(np.arange(1, 601)), np.log(np.sort(probabilities)[::-1]), 60
    slopes = [np.polyfit(x[i : i + window], y[i : i + window], 1)[0] for i in range(300, 540)]
    slow = 300 + int(np.argmax(np.abs(np.diff(slopes)))) + 1
    assert bands.window_elbow_rank(probabilities, window) == slow


def test_window_too_long_for_the_vocabulary_is_refused():
    with pytest.raises(
        ConfigurationError, match=r"rows\.elbow\.window: 2000 ranks are too many for a vocabulary of 4096"
    ):
        bands.window_elbow_rank(np.ones(4096), 2000)


def test_bands_split_the_types():
    counts = zipf(101)
    conditions = [
        {"name": "common", "band": [0, 0.15]},
        {"name": "rare", "band": [0.15, "elbow"], "by": "input"},
        {"name": "tail", "band": ["elbow", 1]},
    ]
    found = bands_of(conditions, counts, bands.ElbowRule("mass", 0.9, 2000))
    assert len(found["common"].tokens) == 15
    assert found["rare"].by == "input"
    assert sorted(np.concatenate([band.tokens for band in found.values()])) == list(range(101))


def test_presets_of_the_paper_and_of_the_tails():
    counts = zipf(1001)
    names = ["paper_common", "paper_rare", "extreme_tail", "bottom_half", "bottom_15"]
    found = bands_of([{"name": name, "preset": name} for name in names], counts)
    joined = np.concatenate([found[name].tokens for name in names[:3]])
    assert joined.tolist() == list(range(1001))
    assert found["paper_common"].tokens.tolist() == list(range(150))
    assert found["bottom_half"].tokens.tolist() == list(range(500, 1001))
    assert found["bottom_15"].tokens.tolist() == list(range(850, 1001))
    assert {band.by for band in found.values()} == {"target"}


def test_presets_of_the_authors_count_unused_ids_and_keep_the_frequent_half():
    counts = zipf(4000, 0.7)
    counts[3900:] = 0
    elbow = bands.ElbowRule("kneedle", 0.99, 500)
    found = bands_of(
        [{"name": name, "preset": name} for name in bands.PRESETS if name.startswith("authors")], counts, elbow, 4100
    )
    assert {band.by for band in found.values()} == {"input"}
    half, elbow_rank = int(4100 * 0.5), 3900 - 500 + 1
    edges = {name: (band.tokens.min(), band.tokens.max()) for name, band in found.items()}
    # Frequency ranks equal ids here; float32 against float64 at the edges moves them by up to a few places.
    assert edges["authors_0_50"] == pytest.approx((0, half), abs=2)  # their "long tail": the frequent half
    assert edges["authors_elbow_15"] == pytest.approx((int(4100 * 0.15), elbow_rank - 1), abs=2)
    rarest = found["authors_0_elbow"].tokens
    assert len(rarest) == pytest.approx(elbow_rank, abs=1)
    assert rarest[-1] == elbow_rank - 1  # ids run from 0: the id at the elbow's rank is the last
    assert edges["authors_longtail_50"] == pytest.approx((half, 4099), abs=2)
    assert np.isin(np.arange(3900, 4100), found["authors_longtail_50"].tokens).all()


def test_band_that_the_elbow_turns_around_is_refused():
    with pytest.raises(ConfigurationError, match=r"'rare' runs from 0.9500 to 0\.\d+ \(the elbow is at"):
        bands_of([{"name": "rare", "band": [0.95, "elbow"]}], zipf(101), bands.ElbowRule("mass", 0.5, 2000))


def test_band_without_types_is_refused():
    with pytest.raises(ConfigurationError, match="'thin'.* holds none of 5 types"):
        bands_of([{"name": "thin", "band": [0.3, 0.4]}], zipf(5))
