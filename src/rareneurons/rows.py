"""Selection of the (document, position) rows: conditions, splits, and conditions with shuffled labels.

A *row* is a position whose *target* is the next token. A *condition* is a named band of frequency, either of
the row's target or of its input token. A *split* (``discovery`` or ``heldout``) is drawn by document.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from rareneurons.bands import Band, Elbow
from rareneurons.conventions import FIRST_POSITION, SHUFFLED_PREFIX
from rareneurons.errors import CorpusError

if TYPE_CHECKING:
    from rareneurons.tokens import Blocks  # it loads transformers, which most callers do not use

SPLITS = ("discovery", "heldout")
CONDITION_PREFIX = "in_"
LEAST_DOCUMENTS = 5  # per condition and split; fewer do not represent documents in general


def candidate_rows(blocks: Blocks) -> pd.DataFrame:
    """All possible rows: positions from ``FIRST_POSITION`` on whose next token belongs to the same document.

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


def evaluated_rows(blocks: Blocks, rows: pd.DataFrame) -> pd.DataFrame:
    """Candidate rows of the blocks that hold a selected row: the positions over which references are averaged.

    Args:
        blocks: evaluation blocks.
        rows: selected rows (columns ``block``, ``position``).

    Returns:
        As :func:`candidate_rows`, and ``row``: the place of this row in ``rows``, -1 where it is not selected.
    """
    everything = candidate_rows(blocks)
    evaluated = everything[everything["block"].isin(rows["block"].unique())].reset_index(drop=True)
    where, selected = (pd.MultiIndex.from_frame(each[["block", "position"]]) for each in (evaluated, rows))
    return evaluated.assign(row=selected.get_indexer(where))


def draw_splits(documents: np.ndarray, discovery_share: float, rng: np.random.Generator) -> dict[int, str]:
    """Split of each document id; each split gets at least one document.

    Raises:
        CorpusError: fewer than two documents.
    """
    documents = np.unique(documents)
    if len(documents) < 2:
        raise CorpusError(f"rows: found {len(documents)} documents, the discovery/held-out split requires at least 2")
    order = rng.permutation(documents)
    n_discovery = int(np.clip(round(discovery_share * len(order)), 1, len(order) - 1))
    return {int(d): SPLITS[0] if i < n_discovery else SPLITS[1] for i, d in enumerate(order)}


def select_rows(
    candidates: pd.DataFrame,
    bands: Sequence[Band],
    splits: Mapping[int, str],
    rows_per_condition: int,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Draw the same number of rows for every condition, in each split.

    Args:
        candidates: as :func:`candidate_rows` returns them.
        bands: the conditions.
        splits: split of each document.
        rows_per_condition: number of rows per condition, half of them in each split.
        rng: draws the rows.

    Returns:
        The union of the drawn rows: the columns of ``candidates``, ``row`` (0, 1, ... in block and position order),
        ``split``, and one boolean column ``in_<condition>`` per condition.

    Raises:
        CorpusError: a condition has too few rows in a split, or its rows come from too few documents.
    """
    split = candidates["document"].map(splits).to_numpy()
    document = candidates["document"].to_numpy()
    wanted = rows_per_condition // 2
    available = _available_rows(candidates, bands, split)
    _refuse_short({key: len(rows) for key, rows in available.items()}, wanted, len(splits))
    chosen = {band.name: np.zeros(len(candidates), dtype=bool) for band in bands}
    for (name, part), rows in available.items():
        mine = rng.choice(rows, size=wanted, replace=False)
        n_documents = len(np.unique(document[mine]))
        if n_documents < LEAST_DOCUMENTS:
            raise CorpusError(
                f"rows.documents: the {wanted} rows of condition {name!r} in the {part} split come from "
                f"{n_documents} documents, at least {LEAST_DOCUMENTS} are required, because documents are "
                "resampled; raise rows.documents or rows.rows_per_condition"
            )
        chosen[name][mine] = True
    drawn = np.any(list(chosen.values()), axis=0)
    selected = candidates[drawn].reset_index(drop=True)
    selected.insert(0, "row", np.arange(len(selected)))
    selected["split"] = split[drawn]
    for name, mask in chosen.items():
        selected[CONDITION_PREFIX + name] = mask[drawn]
    return selected


def most_rows_per_condition(candidates: pd.DataFrame, bands: Sequence[Band], splits: Mapping[int, str]) -> int:
    """The largest number of rows per condition that :func:`select_rows` can draw for every condition."""
    split = candidates["document"].map(splits).to_numpy()
    return 2 * min(map(len, _available_rows(candidates, bands, split).values()))


def _available_rows(
    candidates: pd.DataFrame, bands: Sequence[Band], split: np.ndarray
) -> dict[tuple[str, str], np.ndarray]:
    """Candidates of each condition and split, by index."""
    return {
        (band.name, part): np.flatnonzero(candidates[band.by].isin(band.tokens).to_numpy() & (split == part))
        for band in bands
        for part in SPLITS
    }


def _refuse_short(available: Mapping[tuple[str, str], int], wanted: int, n_documents: int) -> None:
    """Raise one error that names all conditions and splits with too few rows, so that all can be corrected together."""
    short = [
        f"{name!r} has {n_rows} rows in the {part} split"
        for (name, part), n_rows in available.items()
        if n_rows < wanted
    ]
    if short:
        raise CorpusError(
            f"rows.rows_per_condition: {wanted} rows per split are required, but condition "
            f"{'; condition '.join(short)} ({n_documents} documents in both splits). "
            "Lower it, raise rows.documents, widen the bands, or leave these conditions out of rows.conditions"
        )


def with_shuffled_labels(rows: pd.DataFrame, pair: tuple[str, str], rng: np.random.Generator) -> pd.DataFrame:
    """Rows with two more columns: the labels of two conditions, shuffled among the rows of each document.

    Only rows that have either label take part. A document keeps its number of rows per label, so shuffling breaks only
    the relation between a row's token and its label. An effect found for ``shuffled_<condition>`` cannot be due to the
    label.

    Args:
        rows: as :func:`select_rows` returns them.
        pair: two conditions.
        rng: shuffles the labels.

    Returns:
        The rows with the boolean columns ``shuffled_<condition>`` of both.
    """
    shuffled = labels_exchanged(labels_of(rows, pair), rows["document"].to_numpy(), rng)
    return rows.assign(**{SHUFFLED_PREFIX + name: shuffled[:, column] for column, name in enumerate(pair)})


def labels_of(rows: pd.DataFrame, pair: tuple[str, str]) -> np.ndarray:
    """Boolean (rows, 2): whether each row is in either of two conditions."""
    return rows[[CONDITION_PREFIX + name for name in pair]].to_numpy(dtype=bool)


def labels_exchanged(labels: np.ndarray, document: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Labels (rows, 2) in random order among the labelled rows of each document."""
    shuffled = labels.copy()
    mine = np.flatnonzero(labels.any(axis=1))
    order = mine[np.lexsort((rng.random(len(mine)), document[mine]))]
    shuffled[mine[np.argsort(document[mine], kind="stable")]] = labels[order]
    return shuffled


def condition_names(rows: pd.DataFrame) -> list[str]:
    """Names of the conditions in a row table, in column order."""
    return [c.removeprefix(CONDITION_PREFIX) for c in rows.columns if c.startswith(CONDITION_PREFIX)]


def in_condition(rows: pd.DataFrame, condition: str, split: str | None = None) -> np.ndarray:
    """Boolean mask (rows,) of a condition, restricted to ``split`` if that is given."""
    mask = rows[CONDITION_PREFIX + condition].to_numpy(dtype=bool)
    return mask if split is None else mask & (rows["split"] == split).to_numpy()


def condition_split_masks(rows: pd.DataFrame) -> dict[str, np.ndarray]:
    """Mask of every condition and split, named ``<condition>/<split>``. Shuffled labels come last."""
    shuffled = [column for column in rows.columns if column.startswith(SHUFFLED_PREFIX)]
    columns = {name: CONDITION_PREFIX + name for name in condition_names(rows)} | {name: name for name in shuffled}
    return {
        f"{name}/{split}": rows[column].to_numpy(dtype=bool) & (rows["split"] == split).to_numpy()
        for name, column in columns.items()
        for split in SPLITS
    }


def rows_of_conditions(rows: pd.DataFrame, conditions: Sequence[str]) -> pd.DataFrame:
    """Rows of at least one of the conditions, in the same order and with the same columns."""
    mine = np.any([in_condition(rows, name) for name in conditions], axis=0)
    return rows[mine].reset_index(drop=True)


def rows_of_documents(rows: pd.DataFrame, split: str, most: int, rng: np.random.Generator) -> pd.DataFrame:
    """Rows of at most ``most`` documents of a split, drawn at random, in the same order."""
    of_split = rows[rows["split"] == split]
    documents = of_split["document"].unique()
    chosen = rng.permutation(documents)[:most]
    return of_split[of_split["document"].isin(chosen)].reset_index(drop=True)


def describe_conditions(
    rows: pd.DataFrame, frequencies: pd.DataFrame, bands: Sequence[Band], text_of: Mapping[int, str]
) -> pd.DataFrame:
    """Content of each condition: types, probability mass, rows, documents and example tokens.

    Args:
        rows: as :func:`select_rows` returns them.
        frequencies: as ``bands.frequency_table`` returns it.
        bands: the conditions.
        text_of: token id -> text in which every character is visible, for five examples evenly spaced over the band.

    Returns:
        One row per condition and split. ``mass`` is the band's share of all counted tokens. Ranks and rank fractions
        are those of the band's types that have a count; ``n_types_without_count`` is the number of the others.
        ``elbow`` is the rank fraction of the elbow at an edge of the band, NaN without one; ``elbow_rule`` is the rule
        that put it there, and ``elbow_reason`` says why that is not the configured one.
    """
    total = frequencies["count"].sum()
    records = []
    for band in bands:
        inside = frequencies[frequencies["token"].isin(band.tokens)]
        elbow = band.elbow or Elbow(np.nan, "")
        examples = band.tokens[np.linspace(0, len(band.tokens) - 1, min(5, len(band.tokens))).astype(int)]
        for split in SPLITS:
            mine = rows[in_condition(rows, band.name, split)]
            records.append(
                {
                    "condition": band.name,
                    "split": split,
                    "by": band.by,
                    "rank_fraction_low": inside["rank_fraction"].min(),
                    "rank_fraction_high": inside["rank_fraction"].max(),
                    "first_rank": inside["rank"].min(),
                    "last_rank": inside["rank"].max(),
                    "elbow": elbow.fraction,
                    "elbow_rule": elbow.rule,
                    "elbow_reason": elbow.reason,
                    "n_types": len(band.tokens),
                    "n_types_without_count": len(band.tokens) - len(inside),
                    "mass": inside["count"].sum() / total,
                    "n_rows": len(mine),
                    "n_documents": mine["document"].nunique(),
                    "examples": " ".join(text_of[int(token)] for token in examples),
                }
            )
    return pd.DataFrame(records)
