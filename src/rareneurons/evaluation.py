"""The rows that checkpoints are evaluated on, chosen from the documents of a corpus."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from transformers import PreTrainedTokenizerFast

from rareneurons import rows as selection
from rareneurons.bands import Band, ElbowRule, bands, frequency_table
from rareneurons.corpus import evaluation_documents
from rareneurons.tokens import Blocks, document_blocks, special_ids, visible_tokens

MOST_ROWS = 10_000  # per condition, where no number is asked for


@dataclass(frozen=True)
class RowSettings:
    """Which rows are chosen; ``rows`` in the configuration has the same keys and explains them.

    ``conditions``: entries as :func:`bands` takes them; ``rows_per_condition``: None for as many as every condition
    has, at most ``MOST_ROWS``.
    """

    conditions: Sequence[Mapping[str, Any]]
    documents: int = 10_000
    block_length: int = 256
    discovery_share: float = 0.5
    rows_per_condition: int | None = None
    elbow: ElbowRule = ElbowRule("kneedle", 0.99, 2000)


@dataclass(frozen=True)
class EvaluationRows:
    """What checkpoints are evaluated on.

    ``blocks``: the documents' beginnings; ``rows``: the selected rows with their labels and shuffled labels
    (:func:`select_rows`, :func:`with_shuffled_labels`); ``frequencies``: types by falling count, with their ``text``;
    ``conditions``: what each condition holds; ``bands``: the conditions.
    """

    blocks: Blocks
    rows: pd.DataFrame
    frequencies: pd.DataFrame
    conditions: pd.DataFrame
    bands: Sequence[Band] = ()


def evaluation_rows(
    tokenizer: PreTrainedTokenizerFast,
    counts: np.ndarray,
    documents: pd.DataFrame,
    settings: RowSettings,
    pair: tuple[str, str],
    rng: np.random.Generator,
    padded_to: int = 0,
) -> EvaluationRows:
    """Choose rows from documents.

    Args:
        tokenizer: the models' tokenizer.
        counts: (V,) token counts of the models' training corpus.
        documents: columns ``document``, ``text`` and ``partition``; those for evaluation are read.
        settings: how many, and the conditions.
        pair: the two conditions whose labels are shuffled.
        rng: draws documents, splits, rows and shuffled labels.
        padded_to: rows of the models' unembedding.

    Raises:
        CorpusError: too few documents or rows, or counts that are not the tokenizer's.
        ConfigurationError: a condition holds no type.
    """
    frequencies = frequency_table(counts, special_ids(tokenizer), len(tokenizer))
    conditions = bands(settings.conditions, frequencies, counts, padded_to, settings.elbow)
    chosen = evaluation_documents(documents, settings.documents, rng)
    blocks = document_blocks(tokenizer, chosen, settings.block_length)
    candidates = selection.candidate_rows(blocks)
    splits = selection.draw_splits(blocks.document, settings.discovery_share, rng)
    wanted = settings.rows_per_condition
    if wanted is None:
        wanted = min(MOST_ROWS, selection.most_rows_per_condition(candidates, conditions, splits))
    rows = selection.select_rows(candidates, conditions, splits, wanted, rng)
    rows = selection.with_shuffled_labels(rows, pair, rng)
    frequencies["text"] = list(visible_tokens(tokenizer, frequencies["token"]).values())
    text_of = visible_tokens(tokenizer, np.concatenate([each.tokens for each in conditions]))
    described = selection.describe_conditions(rows, frequencies, conditions, text_of)
    return EvaluationRows(blocks, rows, frequencies, described, conditions)
