"""Tokens: a tokenizer trained on documents, token counts, and blocks of tokens that a model can read."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from rareneurons.errors import CorpusError
from rareneurons.model_folders.tokenizer_files import tokenizer_files

END_OF_TEXT = "<|endoftext|>"
PADDING = "<|padding|>"
SPECIAL_NAMES = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
SEPARATORS = {"bos_token", "eos_token"}
NO_SEPARATOR = (
    "names neither bos_token nor eos_token; documents need one before them. Name one of its special tokens in "
    "tokenizer_config.json"
)
TEXTS_PER_BATCH = 1000
SAVED_WITH = "Expected a tokenizer.json, as tokenizer.save_pretrained writes it"


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


def open_tokenizer(folder: str, where: str | None = None) -> PreTrainedTokenizerFast:
    """The tokenizer of a folder, exactly as its tokenizer.json describes it; no download, no remote code.

    ``AutoTokenizer`` would rebuild parts of it from the ``tokenizer_class`` that other files name. It is asked only
    where there is no tokenizer.json. Truncation and padding that a file asks for do not count.

    Args:
        folder: where the files are.
        where: the key and value that messages begin with; the folder itself under ``tokenizers[].folder`` by default.

    Raises:
        CorpusError: there is no tokenizer, a file is damaged, or the vocabulary lacks one of its special tokens.
    """
    where = where or f"tokenizers[].folder: {folder!r}"
    file = Path(folder) / "tokenizer.json"
    if file.is_file():
        backend = _backend_of_file(file, where)
        special, known = _named_special_tokens(folder, where), set(backend.get_vocab())
        if not SEPARATORS & set(special):
            special |= _default_separators(folder, backend, where)
        _refuse_other_ids(file, backend, set(special.values()), where)
    else:
        built = _built_tokenizer(folder, where)
        backend = built.backend_tokenizer
        special = {name: str(token) for name, token in built.special_tokens_map.items() if name in SPECIAL_NAMES}
        known = set(backend.get_vocab(with_added_tokens=False)) | _added_tokens(folder, where)
    for name, token in special.items():
        if token not in known:
            raise CorpusError(
                f"{where} names {token!r} as {name}, which its vocabulary lacks; a model has never seen that token. "
                "Correct tokenizer_config.json or special_tokens_map.json, or give the tokenizer the model was "
                "trained with"
            )
    if len(known - set(special.values())) < 2:
        raise CorpusError(f"{where} holds a tokenizer without a vocabulary. {SAVED_WITH}; give the folder that has it")
    if not SEPARATORS & set(special):
        raise CorpusError(f"{where} {NO_SEPARATOR}")
    backend.no_truncation()
    backend.no_padding()
    return PreTrainedTokenizerFast(tokenizer_object=backend, **special)


def _backend_of_file(file: Path, where: str) -> Tokenizer:
    content = file.read_bytes()
    if content.startswith(b"version https://git-lfs"):
        raise CorpusError(f"{where}: {file.name} is a Git LFS pointer, not the file itself; run `git lfs pull` there")
    try:
        return Tokenizer.from_str(content.decode("utf-8"))
    except BaseException as error:  # the library raises no narrower class, and its panics are no Exception
        if isinstance(error, KeyboardInterrupt | SystemExit | MemoryError):
            raise
        raise CorpusError(
            f"{where}: {file.name} cannot be read as a tokenizer ({_first_line(error)}). {SAVED_WITH}; copy it again"
        ) from error


def _refuse_other_ids(file: Path, backend: Tokenizer, separators: set[str], where: str) -> None:
    """The library renumbers added tokens if the file's numbers have a gap, but the model knows the file's numbers."""
    for added in json.loads(file.read_bytes()).get("added_tokens") or []:
        number = backend.token_to_id(added["content"])
        if number != added["id"] and (added["content"] in separators or not added["special"]):
            raise CorpusError(
                f"{where}: tokenizer.json gives its added token {added['content']!r} the id {added['id']}, where its "
                f"vocabulary has {number}; give the tokenizer the model was trained with"
            )


def _built_tokenizer(folder: str, where: str) -> PreTrainedTokenizerFast:
    """What ``AutoTokenizer`` makes of vocabulary files without a tokenizer.json."""
    names = [Path(file).name for file in tokenizer_files(folder)]
    vocabularies = [name for name in names if name not in ("config.json", "tokenizer_config.json")]
    if not set(vocabularies) - {"special_tokens_map.json", "added_tokens.json", "merges.txt"}:
        there = ", ".join(sorted(file.name for file in Path(folder).iterdir())[:8]) if Path(folder).is_dir() else ""
        raise CorpusError(
            f"{where} holds no tokenizer (found {there or 'no files'}). {SAVED_WITH}; give the folder that has it"
        )
    advice = (
        "Load the tokenizer with the library that made it and save it as tokenizer.json (a SentencePiece file needs "
        "the package sentencepiece for that)"
    )
    try:
        built = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # whatever the class that the files name runs into
        raise CorpusError(
            f"{where} has no tokenizer.json, and {', '.join(vocabularies)} cannot be read "
            f"({_first_line(error)}). {advice}"
        ) from error
    if not isinstance(built, PreTrainedTokenizerFast):
        raise CorpusError(f"{where} has no tokenizer.json, and {type(built).__name__} cannot write one. {advice}")
    return built


def _read_settings(folder: str, name: str, where: str) -> dict[str, Any]:
    """A JSON file of the folder; empty where there is none."""
    file = Path(folder) / name
    if not file.is_file():
        return {}
    try:
        content = json.loads(file.read_bytes().decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise CorpusError(f"{where}: {name} is not JSON ({_first_line(error)}); copy it again") from error
    if not isinstance(content, dict):
        raise CorpusError(f"{where}: {name} holds a {type(content).__name__}, expected a JSON object; copy it again")
    return content


def _content_of(token: Any) -> Any:
    return token.get("content") if isinstance(token, dict) else token


def _named_special_tokens(folder: str, where: str) -> dict[str, str]:
    """Special tokens that tokenizer_config.json and special_tokens_map.json name; the later format wins."""
    config = _read_settings(folder, "tokenizer_config.json", where)
    older = _read_settings(folder, "special_tokens_map.json", where)
    named = older | config if "added_tokens_decoder" in config else config | older
    found = {name: _content_of(named.get(name)) for name in SPECIAL_NAMES}
    for name, token in found.items():
        if not isinstance(token, str | None):
            raise CorpusError(f"{where}: {name} is {token!r}, expected text; correct tokenizer_config.json")
    return {name: token for name, token in found.items() if token is not None}


def _added_tokens(folder: str, where: str) -> set[str]:
    """Tokens that files beside a vocabulary add to it."""
    decoder = _read_settings(folder, "tokenizer_config.json", where).get("added_tokens_decoder", {})
    return {_content_of(token) for token in decoder.values()} | set(_read_settings(folder, "added_tokens.json", where))


def _default_separators(folder: str, backend: Tokenizer, where: str) -> dict[str, str]:
    """First and last token of a text where no tokenizer file names them: config.json's, else the tokenizer class's.

    Only special tokens of the vocabulary count, because a configuration keeps the ids of its model type's first model.
    """
    special = {number: str(token) for number, token in backend.get_added_tokens_decoder().items() if token.special}
    names, config = ("bos_token", "eos_token"), _read_settings(folder, "config.json", where)
    ids = {name: config.get(f"{name}_id") for name in names}
    found = {name: special[number] for name, number in ids.items() if isinstance(number, int) and number in special}
    if found:
        return found
    try:
        class_tokens = AutoTokenizer.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        ).special_tokens_map
    except Exception:  # the class is only asked for a default
        return {}
    return {name: str(class_tokens[name]) for name in names if str(class_tokens.get(name)) in special.values()}


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n")[0] or type(error).__name__


def separator_id(tokenizer: PreTrainedTokenizerBase) -> int:
    """Id of the token before a document: the beginning-of-text token, else the end-of-text token.

    Raises:
        CorpusError: the tokenizer has neither.
    """
    for candidate in (tokenizer.bos_token_id, tokenizer.eos_token_id):
        if isinstance(candidate, int):
            return candidate
    raise CorpusError(f"tokenizer: it {NO_SEPARATOR}")


def _text_backend(tokenizer: PreTrainedTokenizerFast) -> Tokenizer:
    """The tokenizer with which documents are read: text that spells a special token stays ordinary text.

    The special tokens keep their ids under names that do not occur in text. A single character stays, because a
    vocabulary needs it for text. Nothing is cut, padded or left to chance (BPE dropout).
    """
    content = json.loads(tokenizer.backend_tokenizer.to_str())
    content["truncation"] = content["padding"] = None
    special = {token["content"] for token in content["added_tokens"] if token["special"]}
    special |= set(tokenizer.all_special_tokens)
    hidden = {token: f"\ufdd0{number}\ufdd1" for number, token in enumerate(sorted(special)) if len(token) > 1}
    for token in content["added_tokens"]:
        token["content"] = hidden.get(token["content"], token["content"])
    _hide(content["model"], hidden)
    backend = Tokenizer.from_str(json.dumps(content))
    backend.encode_special_tokens = True
    return backend


def _hide(model: dict[str, Any], hidden: Mapping[str, str]) -> None:
    """Rename entries of a model's vocabulary, in place; merges that make or use them go."""
    if isinstance(model["vocab"], dict):
        model["vocab"] = {hidden.get(token, token): number for token, number in model["vocab"].items()}
    else:
        model["vocab"] = [[hidden.get(token, token), score] for token, score in model["vocab"]]
    if model.get("unk_token"):
        model["unk_token"] = hidden.get(model["unk_token"], model["unk_token"])
    if "merges" in model:
        model["merges"] = [pair for pair in model["merges"] if not {*pair, "".join(pair)} & set(hidden)]
        model["dropout"] = None


def _encoded(tokenizer: PreTrainedTokenizerFast, texts: Sequence[str]) -> Iterator[list[int]]:
    """Token ids of each text as the file's tokenizer gives them, without special tokens.

    Raises:
        CorpusError: a character that the vocabulary lacks becomes the token that comes before documents.
    """
    backend, separator = _text_backend(tokenizer), separator_id(tokenizer)
    for start in range(0, len(texts), TEXTS_PER_BATCH):
        batch = list(texts[start : start + TEXTS_PER_BATCH])
        for text, encoding in zip(batch, backend.encode_batch_fast(batch, add_special_tokens=False), strict=True):
            if separator in encoding.ids:
                raise CorpusError(
                    f"tokenizer: the document that begins with {text[:60]!r} holds characters that the vocabulary "
                    f"lacks, and their token {tokenizer.convert_ids_to_tokens(separator)!r} also comes before "
                    "documents. Give a tokenizer that knows all characters or has an unk_token of its own"
                )
            yield encoding.ids


def token_stream(tokenizer: PreTrainedTokenizerFast, texts: Sequence[str]) -> np.ndarray:
    """Token ids of all texts, each preceded by the separator, int32 (n,).

    The separator occurs nowhere else: a text that spells a special token is text.
    """
    separator = separator_id(tokenizer)
    pieces: list[int] = []
    for ids in _encoded(tokenizer, texts):
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


def document_blocks(tokenizer: PreTrainedTokenizerFast, documents: pd.DataFrame, block_length: int) -> Blocks:
    """Separator plus the first ``block_length - 1`` tokens of each document.

    Documents are never joined: a block's rows depend on one document alone, which is the unit of resampling.

    Args:
        tokenizer: the tokenizer of the models that will read the blocks.
        documents: columns ``document`` and ``text``.
        block_length: tokens per block, separator included.
    """
    separator = separator_id(tokenizer)
    encoded = [ids[: block_length - 1] for ids in _encoded(tokenizer, list(documents["text"]))]
    tokens = np.full((len(encoded), block_length), separator, dtype=np.int32)
    for block, ids in enumerate(encoded):
        tokens[block, 1 : len(ids) + 1] = ids
    length = np.asarray([len(ids) + 1 for ids in encoded], dtype=np.int32)
    return Blocks(tokens, length, documents["document"].to_numpy())


def special_ids(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Ids of special tokens, named or only marked as such in the file; they are no types of the language."""
    marked = {number for number, token in tokenizer.added_tokens_decoder.items() if token.special}
    return sorted(marked | set(tokenizer.all_special_ids))


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
