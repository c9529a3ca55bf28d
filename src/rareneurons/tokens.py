"""Tokens: a tokenizer trained on documents, token counts, and blocks of tokens a model can read."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from rareneurons.errors import CorpusError

END_OF_TEXT = "<|endoftext|>"
PADDING = "<|padding|>"


def train_tokenizer(texts: Iterable[str], vocabulary_size: int) -> PreTrainedTokenizerFast:
    """Byte-level BPE tokenizer with Pythia's two special tokens (end of text 0, padding 1).

    Raises:
        CorpusError: the texts do not support that many tokens.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary_size,
        special_tokens=[END_OF_TEXT, PADDING],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    if tokenizer.get_vocab_size() != vocabulary_size:
        raise CorpusError(
            f"tokenizers[].vocabulary_size: asked for {vocabulary_size}, the corpus gives "
            f"{tokenizer.get_vocab_size()}; ask for fewer tokens or give more text"
        )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=END_OF_TEXT,
        eos_token=END_OF_TEXT,
        unk_token=END_OF_TEXT,
        pad_token=PADDING,
    )


def open_tokenizer(folder: str) -> PreTrainedTokenizerBase:
    """Load a tokenizer folder; nothing is downloaded and no remote code runs."""
    return AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)


def separator_id(tokenizer: PreTrainedTokenizerBase) -> int:
    """Id that stands before a document: the beginning-of-text token, else the end-of-text token.

    Raises:
        CorpusError: the tokenizer has neither.
    """
    for candidate in (tokenizer.bos_token_id, tokenizer.eos_token_id):
        if isinstance(candidate, int):
            return candidate
    raise CorpusError(
        "tokenizer: has neither a beginning-of-text nor an end-of-text token; documents need one before them"
    )


def token_stream(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> np.ndarray:
    """Token ids of all texts, each preceded by the separator, int32 (n,)."""
    separator = separator_id(tokenizer)
    pieces: list[int] = []
    for ids in tokenizer(list(texts), add_special_tokens=False)["input_ids"]:
        pieces.append(separator)
        pieces.extend(ids)
    return np.asarray(pieces, dtype=np.int32)


def token_counts(stream: np.ndarray, vocabulary_size: int) -> np.ndarray:
    """How often each token id occurs, int64 (V,)."""
    return np.bincount(stream, minlength=vocabulary_size)


@dataclass(frozen=True)
class Blocks:
    """The beginnings of documents, one block a document.

    ``tokens`` int32 (n_blocks, block_length), padded on the right with the separator; ``length`` int32 (n_blocks,)
    counts the real tokens including the leading separator; ``document`` int64 (n_blocks,).
    """

    tokens: np.ndarray
    length: np.ndarray
    document: np.ndarray


def document_blocks(tokenizer: PreTrainedTokenizerBase, documents: pd.DataFrame, block_length: int) -> Blocks:
    """Separator plus the first ``block_length - 1`` tokens of each document.

    Documents are never joined: a block's rows depend on one document alone, which is the unit of resampling.

    Args:
        tokenizer: the tokenizer of the models that will read the blocks.
        documents: columns ``document`` and ``text``.
        block_length: tokens a block, separator included.
    """
    separator = separator_id(tokenizer)
    encoded = tokenizer(
        list(documents["text"]), add_special_tokens=False, truncation=True, max_length=block_length - 1
    )["input_ids"]
    tokens = np.full((len(encoded), block_length), separator, dtype=np.int32)
    for block, ids in enumerate(encoded):
        tokens[block, 1 : len(ids) + 1] = ids
    length = np.asarray([len(ids) + 1 for ids in encoded], dtype=np.int32)
    return Blocks(tokens, length, documents["document"].to_numpy())


def special_ids(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Ids of special tokens, which are no types of the language."""
    return sorted(tokenizer.all_special_ids)


SPACES = {" ": "␣", "\n": "↵", "\t": "⇥"}


def visible_tokens(tokenizer: PreTrainedTokenizerBase, tokens: Iterable[int]) -> dict[int, str]:
    """Text of each token id in which every character shows.

    Spaces, line ends and tabs are symbols, other characters without a glyph are escaped; a token that holds part of a
    character is written as the vocabulary spells it, an id without a token as its number.
    """
    ids = [int(token) for token in tokens]
    return {
        token: "".join(
            SPACES.get(c) or (c if c.isprintable() else repr(c)[1:-1]) for c in _text(tokenizer, token, name)
        )
        for token, name in zip(ids, tokenizer.convert_ids_to_tokens(ids), strict=True)
    }


def _text(tokenizer: PreTrainedTokenizerBase, token: int, name: str | None) -> str:
    if name is None:
        return f"#{token}"
    text = str(tokenizer.decode([token], clean_up_tokenization_spaces=False))
    if not text or "\ufffd" in text:
        return name
    # SentencePiece drops the space before a text's first word.
    return f" {text}" if name.startswith("▁") and not text.startswith(" ") else text


def unigram_entropy(counts: np.ndarray) -> float:
    """Entropy of the token distribution, nats: the loss of a model that knows frequencies and nothing else."""
    share = counts[counts > 0] / counts.sum()
    return float(-(share * np.log(share)).sum())
