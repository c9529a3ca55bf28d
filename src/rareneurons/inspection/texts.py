"""The rows of a user's texts: chosen here as the workflow chooses them, or read from a run that has chosen them."""

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from rareneurons.bands import PRESETS, read_counts
from rareneurons.corpus import build_corpus, read_texts
from rareneurons.errors import ConfigurationError, CorpusError
from rareneurons.evaluation import EvaluationRows, RowSettings, evaluation_rows
from rareneurons.inspection.opening import OpenModel
from rareneurons.inspection.sizes import Sizes
from rareneurons.rows import condition_names
from rareneurons.tokens import Blocks, token_counts, token_stream

PAIR = ("rare", "common")
Texts = str | Path | Sequence[str] | EvaluationRows  # a file, a folder of a run's rows, texts, or chosen rows
BandOfTypes = str | tuple[float | str, float | str]  # name of a preset, or two rank fractions
Counts = np.ndarray | str | Path | None


@dataclass(frozen=True)
class Question:
    """What is asked of a model beside the texts: the two bands of types, token counts, sizes and the seed."""

    rare: BandOfTypes = "paper_rare"
    common: BandOfTypes = "paper_common"
    counts: Counts = None
    sizes: Sizes = Sizes()
    seed: int = 0

    def generator(self, what: str) -> np.random.Generator:
        """Random generator of what is computed. The workflow derives those of its jobs in the same way."""
        return np.random.default_rng([self.seed, zlib.crc32(what.encode())])


def chosen_rows(model: OpenModel, texts: Texts, question: Question) -> EvaluationRows:
    """The rows that a model is evaluated on.

    Args:
        model: its tokenizer reads the texts.
        texts: a list of documents; a file of documents (:func:`read_texts`); the folder of a run's rows,
            ``results/<run>/inputs/rows/<tokenizer>``; or rows that are chosen already.
        question: the bands, and how many rows.

    Raises:
        CorpusError: the texts cannot be used or are too few.
        ConfigurationError: a band is unknown or holds no type.
    """
    if isinstance(texts, EvaluationRows):
        return texts
    if isinstance(texts, str | Path) and Path(texts).is_dir():
        return rows_of_run(Path(texts))
    documents = build_corpus(_documents(texts), min_characters=1, evaluation_share=1).documents
    tokenizer, sizes = model.needed_tokenizer, question.sizes
    settings = RowSettings(
        [_condition(name, band) for name, band in zip(PAIR, (question.rare, question.common), strict=True)],
        documents=sizes.documents,
        block_length=min(sizes.block_length, _context(model)),
        rows_per_condition=sizes.rows_per_condition,
    )
    counts = _counts(question.counts, model, list(documents["text"]))
    return evaluation_rows(tokenizer, counts, documents, settings, PAIR, question.generator("rows"))


def rows_of_run(folder: Path) -> EvaluationRows:
    """The rows that a run has chosen.

    Raises:
        CorpusError: the folder holds no rows, or none of the conditions ``rare`` and ``common``.
    """
    try:
        with np.load(folder / "blocks.npz") as arrays:
            blocks = Blocks(arrays["tokens"], arrays["length"], arrays["document"])
        rows, frequencies, conditions = (
            pd.read_parquet(folder / f"{name}.parquet") for name in ("rows", "frequencies", "conditions")
        )
    except FileNotFoundError as error:
        raise CorpusError(
            f"{folder}: found no {Path(error.filename).name}; expected the rows of a run, "
            "results/<run>/inputs/rows/<tokenizer>, or a file of documents"
        ) from error
    if not set(PAIR) <= set(condition_names(rows)):
        raise CorpusError(f"{folder}: found conditions {', '.join(condition_names(rows))}; expected rare and common")
    return EvaluationRows(blocks, rows, frequencies, conditions)


def _documents(texts: str | Path | Iterable[str]) -> list[str]:
    if isinstance(texts, str | Path):
        if not Path(texts).is_file():
            shown = str(texts)[:60]
            raise CorpusError(
                f"texts: found {shown!r}, which is no file; expected a file of documents or a list of texts"
            )
        return read_texts(str(texts)).documents
    return list(texts)


def _context(model: OpenModel) -> int:
    config = model.architecture.model.config
    positions = getattr(config, "max_position_embeddings", None) or getattr(config, "n_positions", None)
    return int(positions) if positions else Sizes.block_length


def _condition(name: str, band: BandOfTypes) -> dict[str, Any]:
    if not isinstance(band, str):
        return {"name": name, "band": tuple(band)}
    if band not in PRESETS:
        raise ConfigurationError(
            f"{name}: found {band!r}; expected one of {', '.join(PRESETS)}, or two rank fractions such as (0.5, 1)"
        )
    return {"name": name, "preset": band}


def _counts(given: Counts, model: OpenModel, texts: list[str]) -> np.ndarray:
    """The counts that say what is rare; without any, those of the texts themselves."""
    tokenizer = model.needed_tokenizer
    if given is None:
        return token_counts(token_stream(tokenizer, texts), len(tokenizer))
    if isinstance(given, str | Path):
        return read_counts(str(given), len(tokenizer))
    return np.asarray(given)


def chosen_neurons(model: OpenModel, neurons: Iterable[int]) -> np.ndarray:
    """Indices of last-MLP neurons as an array, int64 (n,).

    Raises:
        ConfigurationError: one is no neuron of the layer, or occurs twice.
    """
    found: np.ndarray = np.asarray(list(neurons), dtype=np.int64)
    wrong = found[(found < 0) | (found >= model.n_neurons)]
    if len(wrong):
        raise ConfigurationError(
            f"neurons: found {wrong[0]}, but the last MLP of {model.name.model} has {model.n_neurons} neurons; "
            f"expected 0 to {model.n_neurons - 1}"
        )
    if len(np.unique(found)) < len(found):
        values, counts = np.unique(found, return_counts=True)
        raise ConfigurationError(f"neurons: found {values[counts > 1][0]} more than once; name each neuron once")
    if not len(found):
        raise ConfigurationError("neurons: found none; expected indices of neurons of the last MLP")
    return found
