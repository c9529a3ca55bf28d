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


def test_rank_fraction_of_tokens():
    table = bands.frequency_table(np.array([9, 0, 5, 7, 5]), [], 5)
    found = bands.rank_fraction_of(np.array([4, 0, 1, 0, 3]), table)
    np.testing.assert_allclose(found, [1, 0, np.nan, 0, 1 / 3])


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


@pytest.mark.parametrize(
    "counts",
    [
        np.array([3, 0, 5], dtype=np.int32),
        np.array([3, 0, 5], dtype=">u8"),
        np.array([3.0, 0.0, 5.0]),
        np.array([3, 0, 5], dtype=np.uint8),
    ],
    ids=str,
)
def test_whole_numbers_of_any_type_are_counts(tmp_path, counts):
    np.save(tmp_path / "counts.npy", counts)
    found = bands.read_counts(str(tmp_path / "counts.npy"), 3)
    assert found.tolist() == [3, 0, 5]
    assert found.dtype == np.int64
    assert bands.read_counts(str(tmp_path / "counts.npy")).tolist() == [3, 0, 5]


def test_counts_of_ids_that_only_pad_may_be_zero(tmp_path):
    np.save(tmp_path / "counts.npy", np.array([3, 0, 5, 0, 0]))
    assert len(bands.read_counts(str(tmp_path / "counts.npy"), 3)) == 5


def overflowed() -> np.ndarray:
    return np.array([3, 2**31 + 5, 2**32 + 7]).astype(np.int32)


NO_COUNTS = {
    "overflowed": (overflowed(), r"id 1 has the count -2147483643 \(1 such ids\): a type that is too narrow"),
    "negative": (np.array([1, 2, -1, -1]), r"id 2 has the count -1 \(2 such ids\)"),
    "nan": (np.array([1, np.nan, 2]), "id 1 has the count nan"),
    "infinite": (np.array([1, 2, np.inf]), "id 2 has the count inf"),
    "parts": (np.array([1, 2.5, 2]), r"id 1 has the count 2\.5 .*: expected a whole number"),
    "probabilities": (np.array([0.5, 0.25, 0.25]), "id 0 has the count 0.5 .*these look like probabilities"),
    "beyond int64": (np.array([1, 2, 2**63], dtype=np.uint64), "id 2 has the count 9223372036854775808"),
    "beyond float64": (np.array([1, 2, 1e17]), "id 2 has the count 1e"),
    "a column": (np.ones((4, 1), dtype=int), r"found int64 of shape \(4, 1\), expected token counts"),
    "a number": (np.array(5), r"found int64 of shape \(\), expected token counts"),
    "truth values": (np.ones(4, dtype=bool), r"found bool of shape \(4,\)"),
    "complex": (np.ones(4, dtype=complex), r"found complex128 of shape \(4,\)"),
    "texts": (np.array(["a", "b", "c"]), r"found <U1 of shape \(3,\)"),
    "times": (np.array([1, 2, 3], dtype="m8[s]"), r"found timedelta64\[s\] of shape"),
    "records": (np.ones(3, dtype=[("id", int), ("count", int)]), r"found \[.*\] of shape \(3,\)"),
    "objects": (np.array([1, 2, {}], dtype=object), "cannot be read as an array of numbers"),
    "too few": (np.array([1, 2]), "found 2 token counts, expected one for each of the tokenizer's 3 ids"),
    "too many": (np.array([1, 2, 3, 0, 4, 5]), r"id 4 has the count 4, but the tokenizer's ids end at 2 \(2 such ids"),
}


@pytest.mark.parametrize("case", NO_COUNTS)
def test_counts_that_are_no_counts_are_refused_with_file_and_place(tmp_path, case):
    counts, message = NO_COUNTS[case]
    file = tmp_path / "counts.npy"
    np.save(file, counts, allow_pickle=True)
    with pytest.raises(CorpusError, match=f"^{file}: {message}"):
        bands.read_counts(str(file), 3)


@pytest.mark.parametrize("content", [b"", b"id,count\n0,5\n", b"\x93NUMPY\x01\x00", b"PK\x03\x04"])
def test_a_file_that_is_no_array_is_named(tmp_path, content):
    file = tmp_path / "counts.npy"
    file.write_bytes(content)
    with pytest.raises(CorpusError, match=f"^{file}: cannot be read as an array of numbers"):
        bands.read_counts(str(file))


def test_several_arrays_in_one_file_are_refused(tmp_path):
    file = tmp_path / "counts.npy"
    with open(file, "wb") as handle:
        np.savez(handle, a=np.ones(3), b=np.ones(3))
    with pytest.raises(CorpusError, match="cannot be read as an array of numbers"):
        bands.read_counts(str(file))


def domain_counts() -> np.ndarray:
    """A flat beginning, then a fall so steep that Kneedle's elbow is below rank fraction 0.15."""
    counts = zipf(5000, 0.2)
    counts[400:] = np.round(counts[399] * (np.arange(401, 5001) / 400.0) ** -1.5)
    assert bands.elbow_fraction(table_of(counts), counts, 0, KNEEDLE) < 0.15
    return counts


@pytest.mark.parametrize(
    ("band", "rule", "advice"),
    [
        ([0.15, "elbow"], "kneedle", r"Set `rows\.elbow\.rule: mass` \(elbow at 0\.\d+\) or a `band` with two"),
        ([0.95, "elbow"], "mass", r"Set a `band` with two numbers instead"),
    ],
)
def test_a_band_that_the_elbow_leaves_no_room_says_what_would_give_one(band, rule, advice):
    with pytest.raises(ConfigurationError, match=rf"'rare' runs from .*by rows\.elbow\.rule: {rule}\).* {advice}"):
        bands_of([{"name": "rare", "band": band}], domain_counts(), bands.ElbowRule(rule, 0.8, 2000))


RARE, TAIL = ({"name": name, "preset": name} for name in ("paper_rare", "extreme_tail"))


def test_the_preset_takes_the_elbow_by_mass_where_the_rules_own_gives_no_band():
    counts = domain_counts()
    found = bands_of([RARE, TAIL], counts)
    by_mass = bands.elbow_fraction(table_of(counts), counts, 0, bands.ElbowRule("mass", 0.99, 2000))
    kneedle = bands.elbow_fraction(table_of(counts), counts, 0, KNEEDLE)
    elbow = found["paper_rare"].elbow
    assert (elbow.fraction, elbow.rule) == (by_mass, "mass")
    assert elbow.reason == f"by kneedle it lies at {kneedle:.4f}, which leaves no type above 0.15"
    assert found["extreme_tail"].elbow == elbow, "the two meet at one elbow"
    fraction = table_of(counts).set_index("token")["rank_fraction"]
    assert fraction[found["paper_rare"].tokens].between(0.15, by_mass, inclusive="left").all()
    assert set(found["paper_rare"].tokens) == set(fraction.index[(fraction >= 0.15) & (fraction < by_mass)])


def test_the_preset_keeps_the_configured_elbow_where_it_gives_a_band():
    assert bands_of([RARE], zipf(1001))["paper_rare"].elbow.rule == "kneedle"
    assert bands_of([RARE], zipf(1001))["paper_rare"].elbow.reason == ""
    band = bands_of([{"name": "rare", "band": [0.05, "elbow"]}], domain_counts())["rare"]
    assert (band.elbow.rule, band.elbow.fraction < 0.15) == ("kneedle", True)


@pytest.mark.parametrize("seed", range(20))
def test_the_preset_gives_a_band_for_any_counts(seed):
    """Few types, one type that has nearly all tokens, and any exponent."""
    rng = np.random.default_rng(seed)
    counts = np.sort(zipf(int(rng.integers(2, 300)), rng.uniform(0, 6)))[::-1].astype(np.int64) + 1
    counts[0] += 10 ** int(rng.integers(1, 9))
    for elbow in (KNEEDLE, bands.ElbowRule("mass", 0.5, 2000), bands.ElbowRule("mass", 0.99, 2000)):
        found = bands_of([RARE, {"name": "common", "preset": "paper_common"}], counts, elbow)
        assert len(found["paper_rare"].tokens) > 0
        assert not set(found["paper_rare"].tokens) & set(found["common"].tokens)


def test_where_mass_gives_no_band_either_the_preset_ends_at_the_last_type():
    counts = np.array([10**6, 10**6, 3, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1])
    elbow = bands_of([RARE], counts)["paper_rare"].elbow
    assert (elbow.fraction, elbow.rule) == (1.0, "last type")
    assert "and by mass (0.99) at" in elbow.reason
    assert bands_of([RARE], counts)["paper_rare"].tokens.tolist() == list(range(3, 20))
    with pytest.raises(ConfigurationError, match="by last type, because by kneedle .* Set a `band` with two numbers"):
        bands_of([TAIL], counts)


def test_unigram_entropy_of_a_uniform_distribution():
    assert bands.unigram_entropy(np.array([5, 5, 0, 5, 5])) == pytest.approx(np.log(4))
