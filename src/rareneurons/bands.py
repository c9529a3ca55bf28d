"""Token frequencies and the bands of frequency that conditions are made of.

Types are sorted by their count in the models' training corpus; *rank fraction* runs from 0 (most frequent) to 1. A
condition is a band of rank fraction, given by its edges or by the name of a preset.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd

from rareneurons.errors import ConfigurationError, CorpusError

By = Literal["target", "input"]


MOST_CHECKED = 2**53  # whole numbers up to this are exact in float64


def read_counts(file: str, vocabulary_size: int | None = None) -> np.ndarray:
    """Token counts of a .npy file, int64 (V,); whole numbers of any type, nothing is rounded or cut.

    Args:
        file: written by ``np.save``.
        vocabulary_size: ids the tokenizer knows; beyond them counts must be zero. None: not checked.

    Raises:
        CorpusError: the file is no array of whole numbers from zero up, or counts ids that the tokenizer lacks; names
            the file and the first place.
    """
    counts = _whole_numbers(_array_of(file), file)
    if vocabulary_size is None:
        return counts
    if len(counts) < vocabulary_size:
        raise CorpusError(
            f"{file}: found {len(counts)} token counts, expected one for each of the tokenizer's {vocabulary_size} "
            "ids; give the counts that belong to this tokenizer"
        )
    beyond = np.flatnonzero(counts[vocabulary_size:])
    if len(beyond):
        first = vocabulary_size + int(beyond[0])
        raise CorpusError(
            f"{file}: id {first} has the count {counts[first]}, but the tokenizer's ids end at {vocabulary_size - 1} "
            f"({len(beyond)} such ids); give the counts that belong to this tokenizer"
        )
    return counts


def _array_of(file: str) -> np.ndarray:
    try:
        with open(file, "rb") as handle:
            counts = np.lib.format.read_array(handle, allow_pickle=False)
    except (ValueError, EOFError, SyntaxError) as error:
        raise CorpusError(
            f"{file}: cannot be read as an array of numbers ({str(error).splitlines()[0]}); save the token counts with "
            "np.save, one whole number per token id"
        ) from error
    if counts.ndim != 1 or counts.dtype.kind not in "iuf":
        raise CorpusError(
            f"{file}: found {counts.dtype} of shape {counts.shape}, expected token counts, one whole number per token "
            "id"
        )
    return counts


def _whole_numbers(counts: np.ndarray, file: str) -> np.ndarray:
    floating = counts.dtype.kind == "f"
    wrong = ~np.isfinite(counts) | (counts < 0) | (counts > (MOST_CHECKED if floating else np.iinfo(np.int64).max))
    if floating:
        wrong |= counts != np.floor(counts)
    if wrong.any():
        first = int(np.flatnonzero(wrong)[0])
        hint = "a type that is too narrow overflows" if counts[first] < 0 else "expected a whole number from zero up"
        if floating and np.isfinite(counts).all() and counts.min() >= 0 and counts.max() <= 1:
            hint = "these look like probabilities, but counts are needed"
        raise CorpusError(
            f"{file}: id {first} has the count {counts[first]} ({int(wrong.sum())} such ids): {hint}. Count the tokens "
            "in int64 and save the counts as they are"
        )
    return counts.astype(np.int64)


def frequency_table(counts: np.ndarray, left_out: Iterable[int], vocabulary_size: int) -> pd.DataFrame:
    """Types by falling count.

    Args:
        counts: occurrences of each token id in the models' training corpus, integer (V,).
        left_out: ids that are no types (separator, padding); ids with zero count are left out too.
        vocabulary_size: ids the tokenizer knows; the counts may be longer (padding) but not shorter.

    Returns:
        Columns ``token``, ``count``, ``rank`` (1 is the most frequent; ties by id), ``rank_fraction`` (0 to 1) and
        ``cumulative_mass`` (share of all counted tokens up to and including this type).

    Raises:
        CorpusError: fewer counts than the vocabulary has ids, or fewer than two types with a count.
    """
    counts = np.asarray(counts)
    if counts.ndim != 1 or len(counts) < vocabulary_size:
        raise CorpusError(
            f"token counts: found shape {counts.shape}, expected one count for each of the tokenizer's "
            f"{vocabulary_size} ids; give the counts that belong to this tokenizer"
        )
    usable = counts > 0
    usable[[token for token in left_out if token < len(counts)]] = False
    tokens = np.flatnonzero(usable)
    if len(tokens) < 2:
        raise CorpusError(
            f"token counts: {len(tokens)} of {len(counts)} ids have a count above zero; expected the counts of a corpus"
        )
    tokens = tokens[np.argsort(-counts[tokens], kind="stable")]
    sorted_counts = counts[tokens]
    n = len(tokens)
    return pd.DataFrame(
        {
            "token": tokens,
            "count": sorted_counts,
            "rank": np.arange(1, n + 1),
            "rank_fraction": np.arange(n) / (n - 1),
            "cumulative_mass": np.cumsum(sorted_counts, dtype=np.float64) / sorted_counts.sum(dtype=np.float64),
        }
    )


def rank_fraction_of(tokens: np.ndarray, frequencies: pd.DataFrame) -> np.ndarray:
    """Rank fraction of each token id (T,), NaN for a type without a count; ``frequencies``: :func:`frequency_table`."""
    return frequencies.set_index("token")["rank_fraction"].reindex(tokens).to_numpy(dtype=float)


def elbow_rank(frequencies: pd.DataFrame, rule: str, mass: float = 0.99) -> int:
    """Rank at which the rarest token types begin.

    ``kneedle`` (Satopaa et al. 2011): ln rank and ln count are each scaled to [0, 1]; the elbow is the rank where
    the curve is highest above the straight line between its ends. ``mass``: the first rank at which the
    cumulative mass reaches ``mass``. The authors' rule is :func:`window_elbow_rank`.

    Args:
        frequencies: as :func:`frequency_table` returns it.
        rule: ``kneedle`` or ``mass``.
        mass: share of tokens in (0, 1), used by the rule ``mass`` alone.

    Raises:
        ConfigurationError: unknown rule.
        CorpusError: all types are equally frequent.
    """
    if rule == "mass":
        return int(frequencies["rank"].to_numpy()[np.argmax(frequencies["cumulative_mass"].to_numpy() >= mass)])
    if rule == "kneedle":
        x = np.log(frequencies["rank"].to_numpy(dtype=float))
        y = np.log(frequencies["count"].to_numpy(dtype=float))
        if y[0] == y[-1]:
            raise CorpusError("token counts: all types are equally frequent, so the rank-frequency curve has no elbow")
        height = (y - y[-1]) / (y[0] - y[-1]) - (1 - x / x[-1])
        return int(frequencies["rank"].to_numpy()[np.argmax(height)])
    raise ConfigurationError(f"rows.elbow.rule: found {rule!r}, expected 'kneedle', 'mass' or 'window'")


def smoothed_probabilities(counts: np.ndarray, padded_to: int) -> np.ndarray:
    """The authors' unigram distribution: add-one over all ids, those without a count and padding included.

    Args:
        counts: (V,) integer.
        padded_to: rows of the models' unembedding; ids beyond the counts have count zero.

    Returns:
        Float64 (max(V, padded_to),), by token id.
    """
    counts = np.concatenate([counts, np.zeros(max(0, padded_to - len(counts)), dtype=counts.dtype)])
    return (counts + 1) / (counts + 1).sum(dtype=np.float64)


def window_elbow_rank(probabilities: np.ndarray, window: int) -> int:
    """The authors' elbow: where the slope of ln p on ln rank, over a sliding window, changes most from place to place.

    It is an artefact of their add-one smoothing: the place where the window first touches the block of ids without
    a count, which moves one for one with the window. Kept for comparison alone.

    Args:
        probabilities: as :func:`smoothed_probabilities` returns them.
        window: ranks a slope is taken over (the authors': 2000).

    Raises:
        ConfigurationError: the vocabulary is too small for the window, or no change is larger than the others.
    """
    n = len(probabilities)
    first = max(n // 2, 2 * window)
    if first + 2 >= n - window:
        raise ConfigurationError(
            f"rows.elbow.window: {window} ranks are too many for a vocabulary of {n}; the authors' rule needs fewer "
            f"than {n // 3}. Lower it, or leave out what uses it: elbow rule 'window', presets authors_..."
        )
    x, y = np.log(np.arange(1, n + 1)), np.log(np.sort(probabilities)[::-1])
    x, y = x - x.mean(), y - y.mean()

    def rolling(values: np.ndarray) -> np.ndarray:
        total = np.concatenate([[0.0], np.cumsum(values)])
        return total[window:] - total[:-window]

    sums = rolling(x)
    slope = (window * rolling(x * y) - sums * rolling(y)) / (window * rolling(x * x) - sums**2)
    change = np.abs(np.diff(slope[first : n - window]))
    if change.max() <= change.mean() + 3 * change.std():
        raise ConfigurationError("rows.elbow.rule: the window rule finds no elbow in these counts; choose another rule")
    return first + int(np.argmax(change)) + 1


AuthorsEdge = float | Literal["elbow"]


@dataclass(frozen=True)
class Preset:
    """A named band. ``low`` and ``high`` are rank fractions or ``elbow``; for ``rule`` they are

    * ``band``: edges of this project's bands, types without a count left out;
    * ``authors_era_b``: the authors' later code, percentiles of all ids from the most frequent, both edges included;
    * ``authors_era_a``: their earlier code, everything rarer than the lower edge.
    """

    low: AuthorsEdge
    high: AuthorsEdge
    by: By = "target"
    rule: Literal["band", "authors_era_a", "authors_era_b"] = "band"


COMMON_EDGE = 0.15  # rank fraction at which the paper's common types end and its rare ones begin
PRESETS: Mapping[str, Preset] = {
    "paper_rare": Preset(COMMON_EDGE, "elbow"),
    "paper_common": Preset(0.0, COMMON_EDGE),
    "bottom_half": Preset(0.5, 1.0),
    "bottom_15": Preset(0.85, 1.0),
    "extreme_tail": Preset("elbow", 1.0),
    "authors_longtail_50": Preset(0.5, 1.0, "input", "authors_era_a"),
    "authors_elbow_15": Preset(0.15, "elbow", "input", "authors_era_b"),
    "authors_elbow_20": Preset(0.2, "elbow", "input", "authors_era_b"),
    "authors_0_elbow": Preset(0.0, "elbow", "input", "authors_era_b"),
    "authors_0_50": Preset(0.0, 0.5, "input", "authors_era_b"),
    "authors_0_15": Preset(0.0, 0.15, "input", "authors_era_b"),
    "authors_0_5": Preset(0.0, 0.05, "input", "authors_era_b"),
}


def authors_tokens(counts: np.ndarray, padded_to: int, preset: Preset, window: int) -> np.ndarray:
    """Token ids of one of the authors' bands, most frequent first.

    Thresholds are probabilities at a rank, in float64; a token's own probability is compared in float32, as they do,
    which moves the edges by up to a few tied ranks.

    Args:
        counts: (V,) integer.
        padded_to: rows of the models' unembedding.
        preset: one with an authors' rule.
        window: window of their elbow.
    """
    probabilities = smoothed_probabilities(counts, padded_to)
    order = np.argsort(-probabilities, kind="stable")
    falling = probabilities[order]

    def threshold(edge: AuthorsEdge) -> float:
        if isinstance(edge, str):
            return float(falling[window_elbow_rank(probabilities, window) - 1])
        return float(falling[min(int(len(falling) * edge), len(falling) - 1)])

    padded = np.zeros(len(probabilities), dtype=counts.dtype)
    padded[: len(counts)] = counts
    compared = ((padded + 1).astype(np.float32) / np.float32((padded + 1).sum()))[order].astype(np.float64)
    if preset.rule == "authors_era_a":
        return order[compared < threshold(preset.low)]
    return order[(compared >= threshold(preset.high)) & (compared <= threshold(preset.low))]


@dataclass(frozen=True)
class Elbow:
    """Where a band's elbow lies: its rank ``fraction`` in (0, 1], and the ``rule`` that put it there.

    ``reason`` says why this is not the configured rule; empty where it is.
    """

    fraction: float
    rule: str
    reason: str = ""


@dataclass(frozen=True)
class Band:
    """A condition: token ids, most frequent first, of the row's target or of its input token (``by``).

    ``elbow`` is the one that the band ends or begins at; None where it has none.
    """

    name: str
    by: By
    tokens: np.ndarray
    elbow: Elbow | None = None


@dataclass(frozen=True)
class ElbowRule:
    """How the elbow is found: ``rule`` (``kneedle``, ``mass`` or the authors' ``window``) and what the rules need."""

    rule: str
    mass: float
    window: int


def elbow_fraction(frequencies: pd.DataFrame, counts: np.ndarray, padded_to: int, elbow: ElbowRule) -> float:
    """Rank fraction of the elbow, in (0, 1]; arguments as in :func:`bands`."""
    if elbow.rule == "window":
        rank = window_elbow_rank(smoothed_probabilities(counts, padded_to), elbow.window)
        return min(1.0, (rank - 1) / (len(frequencies) - 1))
    rank = elbow_rank(frequencies, elbow.rule, elbow.mass)
    return float(frequencies["rank_fraction"].to_numpy()[rank - 1])


def _edges(preset: Preset, elbow: float) -> tuple[float, float]:
    low, high = (elbow if edge == "elbow" else float(edge) for edge in (preset.low, preset.high))
    return low, high


def _band_tokens(preset: Preset, frequencies: pd.DataFrame, elbow: float) -> np.ndarray:
    low, high = _edges(preset, elbow)
    fraction = frequencies["rank_fraction"]
    inside = (fraction >= low) & ((fraction < high) | (high == 1))
    return frequencies.loc[inside, "token"].to_numpy()


def preset_elbow(frequencies: pd.DataFrame, counts: np.ndarray, padded_to: int, elbow: ElbowRule) -> Elbow:
    """The elbow of the paper's presets, always so far above ``COMMON_EDGE`` that types lie between the two.

    It is the first of these that does: the elbow of the configured rule, the elbow by mass, the last type. Kneedle's
    elbow can lie below ``COMMON_EDGE`` where the counted text uses only a small part of the vocabulary, such as text of
    one domain.

    Arguments as in :func:`bands`.
    """
    rare = PRESETS["paper_rare"]
    place = elbow_fraction(frequencies, counts, padded_to, elbow)
    if len(_band_tokens(rare, frequencies, place)):
        return Elbow(place, elbow.rule)
    reason = f"by {elbow.rule} it lies at {place:.4f}, which leaves no type above {COMMON_EDGE}"
    by_mass = elbow_fraction(frequencies, counts, padded_to, replace(elbow, rule="mass"))
    if len(_band_tokens(rare, frequencies, by_mass)):
        return Elbow(by_mass, "mass", reason)
    return Elbow(1.0, "last type", f"{reason}, and by mass ({elbow.mass:g}) at {by_mass:.4f}")


def _other_elbows(
    preset: Preset, frequencies: pd.DataFrame, counts: np.ndarray, padded_to: int, elbow: ElbowRule
) -> str:
    """What would give a band: the other rules with which the edges are in order, and where they put the elbow."""
    found = []
    for rule in ("kneedle", "mass"):  # the authors' window is an artefact of their smoothing
        try:
            place = elbow_fraction(frequencies, counts, padded_to, replace(elbow, rule=rule))
        except CorpusError:  # all types are equally frequent
            continue
        low, high = _edges(preset, place)
        if rule != elbow.rule and low < high:
            found.append(f"`rows.elbow.rule: {rule}` (elbow at {place:.4f})")
    return " or ".join([*found, "a `band` with two numbers instead"])


def bands(
    conditions: Sequence[Mapping], frequencies: pd.DataFrame, counts: np.ndarray, padded_to: int, elbow: ElbowRule
) -> list[Band]:
    """The configuration's conditions as bands of token ids.

    Args:
        conditions: entries with ``name`` and either ``preset`` or ``band`` (two rank fractions or ``elbow``) and,
            optionally, ``by``.
        frequencies: as :func:`frequency_table` returns it.
        counts: (V,) the counts it was made from.
        padded_to: rows of the models' unembedding; the authors' presets count ids without a count too.
        elbow: how the elbow is found.

    A preset takes the elbow of :func:`preset_elbow`, a ``band`` that of the configured rule, whatever it is.

    Raises:
        ConfigurationError: a band is upside down once the elbow is known, or holds no type.
    """
    found = []
    configured = Elbow(elbow_fraction(frequencies, counts, padded_to, elbow), elbow.rule)
    of_presets = preset_elbow(frequencies, counts, padded_to, elbow)
    for entry in conditions:
        name, place = entry["name"], of_presets if "preset" in entry else configured
        if "preset" in entry:
            preset = PRESETS[entry["preset"]]
        else:
            low, high = entry["band"]
            preset = Preset(low, high, entry.get("by", "target"))
        if preset.rule == "band":
            low, high = _edges(preset, place.fraction)
            if not 0 <= low < high <= 1:
                rule = f"{place.rule}, because {place.reason}" if place.reason else f"rows.elbow.rule: {place.rule}"
                advice = (
                    "a `band` with two numbers instead"
                    if place.reason
                    else _other_elbows(preset, frequencies, counts, padded_to, elbow)
                )
                raise ConfigurationError(
                    f"rows.conditions: band of {name!r} runs from {low:.4f} to {high:.4f} (the elbow is at "
                    f"{place.fraction:.4f} by {rule}), so it holds no type of this corpus. Set {advice}"
                )
            tokens = _band_tokens(preset, frequencies, place.fraction)
        else:
            tokens = authors_tokens(counts, padded_to, preset, elbow.window)
        if not len(tokens):
            raise ConfigurationError(
                f"rows.conditions: {name!r} ({preset.low} to {preset.high}) holds none of {len(frequencies)} types; "
                "widen the band"
            )
        uses_elbow = preset.rule == "band" and "elbow" in (preset.low, preset.high)
        found.append(Band(name, preset.by, tokens, place if uses_elbow else None))
    return found


def unigram_entropy(counts: np.ndarray) -> float:
    """Entropy of the token distribution, nats: the loss of a model that knows frequencies and nothing else."""
    share = counts[counts > 0] / counts.sum()
    return float(-(share * np.log(share)).sum())
