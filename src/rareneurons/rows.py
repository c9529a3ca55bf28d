"""Which (document, position) rows are evaluated: token frequencies, bands of rank, conditions and splits.

A *row* is a position whose *target* is the next token; a *condition* is a named band of rank fraction, of
the row's target or of its input token; a *split* (``discovery`` or ``heldout``) is drawn by document.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from rareneurons.errors import ConfigurationError, CorpusError

if TYPE_CHECKING:
    from rareneurons.tokens import Blocks  # loads transformers, which most users of rows do not need

SPLITS = ("discovery", "heldout")
FIRST_POSITION = 3  # positions 0-2 have too little context; the paper leaves them out too
CONDITION_PREFIX = "in_"


def frequency_table(counts: np.ndarray, left_out: Iterable[int]) -> pd.DataFrame:
    """Types by falling count.

    Args:
        counts: occurrences of each token id in the models' training corpus, integer (V,).
        left_out: ids that are no types (separator, padding); ids with zero count are left out too.

    Returns:
        Columns ``token``, ``count``, ``rank`` (1 is the most frequent; ties by id), ``rank_fraction`` (0 to 1) and
        ``cumulative_mass`` (share of all counted tokens up to and including this type).

    Raises:
        CorpusError: fewer than two types have a count.
    """
    counts = np.asarray(counts)
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


def elbow_rank(frequencies: pd.DataFrame, rule: str, mass: float = 0.99) -> int:
    """Rank at which the rank-frequency curve turns into its tail.

    ``kneedle`` (Satopaa et al. 2011): ln rank and ln count are each scaled to [0, 1]; the elbow is the rank where
    the curve stands highest above the straight line between its ends. ``mass``: the first rank at which the
    cumulative mass reaches ``mass``.

    Args:
        frequencies: as :func:`frequency_table` returns it.
        rule: ``kneedle`` or ``mass``.
        mass: share of tokens in (0, 1), used by the rule ``mass`` alone.

    Raises:
        ConfigurationError: unknown rule.
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
    raise ConfigurationError(f"rows.elbow.rule: found {rule!r}, expected 'kneedle' or 'mass'")


def elbow_fraction(frequencies: pd.DataFrame, rule: str, mass: float) -> float:
    """Rank fraction of the elbow; see :func:`elbow_rank`."""
    return float(frequencies["rank_fraction"].to_numpy()[elbow_rank(frequencies, rule, mass) - 1])


@dataclass(frozen=True)
class Band:
    """A condition: types with rank fraction in [low, high), of the row's target or of its input token.

    ``high = 1`` includes the rarest type.
    """

    name: str
    low: float
    high: float
    by: Literal["target", "input"] = "target"


def bands(conditions: Sequence[Mapping], elbow_fraction: float) -> list[Band]:
    """Bands of the configuration's conditions, with the word ``elbow`` replaced by its rank fraction.

    Raises:
        ConfigurationError: a band is empty or upside down once the elbow is known.
    """
    found = []
    for entry in conditions:
        low, high = (elbow_fraction if edge == "elbow" else float(edge) for edge in entry["band"])
        if not 0 <= low < high <= 1:
            raise ConfigurationError(
                f"rows.conditions: band of {entry['name']!r} runs from {low:.4f} to {high:.4f} "
                f"(the elbow is at {elbow_fraction:.4f}); expected 0 <= low < high <= 1"
            )
        found.append(Band(entry["name"], low, high, entry.get("by", "target")))
    return found


def band_tokens(frequencies: pd.DataFrame, band: Band) -> np.ndarray:
    """Token ids in the band, most frequent first.

    Raises:
        ConfigurationError: the band holds no type.
    """
    fraction = frequencies["rank_fraction"]
    inside = (fraction >= band.low) & ((fraction < band.high) | (band.high == 1))
    if not inside.any():
        raise ConfigurationError(
            f"rows.conditions: {band.name!r} ({band.low} to {band.high}) holds none of {len(frequencies)} types; "
            "widen the band"
        )
    return frequencies.loc[inside, "token"].to_numpy()


def candidate_rows(blocks: Blocks) -> pd.DataFrame:
    """All rows a block offers: positions from ``FIRST_POSITION`` whose next token belongs to the document.

    Returns:
        Columns ``document``, ``block``, ``position``, ``input``, ``target`` (token ids), in block and position order.
    """
    positions = np.arange(blocks.tokens.shape[1] - 1)
    eligible = (positions[None] >= FIRST_POSITION) & (positions[None] + 1 < blocks.length[:, None])
    block, position = np.nonzero(eligible)
    return pd.DataFrame(
        {
            "document": blocks.document[block],
            "block": block,
            "position": position,
            "input": blocks.tokens[block, position],
            "target": blocks.tokens[block, position + 1],
        }
    )


def draw_splits(documents: np.ndarray, discovery_share: float, rng: np.random.Generator) -> dict[int, str]:
    """Split of each document id; each split gets at least one document.

    Raises:
        CorpusError: fewer than two documents.
    """
    documents = np.unique(documents)
    if len(documents) < 2:
        raise CorpusError(f"rows: found {len(documents)} documents, the discovery/held-out split needs at least 2")
    order = rng.permutation(documents)
    n_discovery = int(np.clip(round(discovery_share * len(order)), 1, len(order) - 1))
    return {int(d): SPLITS[0] if i < n_discovery else SPLITS[1] for i, d in enumerate(order)}


def select_rows(
    candidates: pd.DataFrame,
    tokens_by_condition: Mapping[str, tuple[str, np.ndarray]],
    splits: Mapping[int, str],
    rows_per_condition: int,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Draw the same number of rows for every condition, in each split.

    Args:
        candidates: as :func:`candidate_rows` returns them.
        tokens_by_condition: condition -> (``target`` or ``input``, token ids of its band).
        splits: split of each document.
        rows_per_condition: wanted rows a condition, both splits together; half of it goes to each split.
        rng: draws the rows.

    Returns:
        The union of the drawn rows: the columns of ``candidates``, ``row`` (0, 1, ... in block and position order),
        ``split``, and a boolean column ``in_<condition>`` a condition.

    Raises:
        CorpusError: a condition has fewer rows in a split than asked for.
    """
    split = candidates["document"].map(splits).to_numpy()
    wanted = rows_per_condition // 2
    chosen = {name: np.zeros(len(candidates), dtype=bool) for name in tokens_by_condition}
    for name, (by, tokens) in tokens_by_condition.items():
        in_band = candidates[by].isin(tokens).to_numpy()
        for part in SPLITS:
            available = np.flatnonzero(in_band & (split == part))
            if len(available) < wanted:
                raise CorpusError(
                    f"rows.rows_per_condition: condition {name!r} has {len(available)} rows in the {part} split, "
                    f"{wanted} are needed; lower it, raise rows.documents, or widen the band"
                )
            chosen[name][rng.choice(available, size=wanted, replace=False)] = True
    drawn = np.any(list(chosen.values()), axis=0)
    rows = candidates[drawn].reset_index(drop=True)
    rows.insert(0, "row", np.arange(len(rows)))
    rows["split"] = split[drawn]
    for name, mask in chosen.items():
        rows[CONDITION_PREFIX + name] = mask[drawn]
    return rows


def condition_names(rows: pd.DataFrame) -> list[str]:
    """Names of the conditions a row table knows, in column order."""
    return [c.removeprefix(CONDITION_PREFIX) for c in rows.columns if c.startswith(CONDITION_PREFIX)]


def in_condition(rows: pd.DataFrame, condition: str, split: str | None = None) -> np.ndarray:
    """Boolean mask (rows,) of a condition, of one split where ``split`` is given."""
    mask = rows[CONDITION_PREFIX + condition].to_numpy(dtype=bool)
    return mask if split is None else mask & (rows["split"] == split).to_numpy()


def condition_split_masks(rows: pd.DataFrame) -> dict[str, np.ndarray]:
    """Mask of every condition and split, named ``<condition>/<split>``."""
    return {
        f"{condition}/{split}": in_condition(rows, condition, split)
        for condition in condition_names(rows)
        for split in SPLITS
    }


def rows_of_documents(rows: pd.DataFrame, split: str, most: int, rng: np.random.Generator) -> pd.DataFrame:
    """Rows of at most ``most`` documents of a split, drawn at random; their order and columns stay."""
    of_split = rows[rows["split"] == split]
    documents = of_split["document"].unique()
    chosen = rng.permutation(documents)[:most]
    return of_split[of_split["document"].isin(chosen)].reset_index(drop=True)


def describe_conditions(
    rows: pd.DataFrame, frequencies: pd.DataFrame, conditions: Sequence[Band], text_of: Mapping[int, str]
) -> pd.DataFrame:
    """What each condition holds: types, probability mass, rows, documents and example tokens.

    Args:
        rows: as :func:`select_rows` returns them.
        frequencies: as :func:`frequency_table` returns it.
        conditions: the bands.
        text_of: token id -> readable text, for the examples (five, evenly spaced over the band).

    Returns:
        One row a condition and split; ``mass`` is the band's share of all counted tokens.
    """
    total = frequencies["count"].sum()
    records = []
    for band in conditions:
        tokens = band_tokens(frequencies, band)
        inside = frequencies[frequencies["token"].isin(tokens)]
        examples = tokens[np.linspace(0, len(tokens) - 1, min(5, len(tokens))).astype(int)]
        for split in SPLITS:
            mine = rows[in_condition(rows, band.name, split)]
            records.append(
                {
                    "condition": band.name,
                    "split": split,
                    "by": band.by,
                    "rank_fraction_low": band.low,
                    "rank_fraction_high": band.high,
                    "first_rank": int(inside["rank"].min()),
                    "last_rank": int(inside["rank"].max()),
                    "n_types": len(tokens),
                    "mass": inside["count"].sum() / total,
                    "n_rows": len(mine),
                    "n_documents": mine["document"].nunique(),
                    "examples": " ".join(repr(text_of[int(token)]) for token in examples),
                }
            )
    return pd.DataFrame(records)
