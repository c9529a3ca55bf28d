"""A GGUF file's tokenizer as tokenizer.json.

The file contains vocabulary, merges and special tokens, but only a name for the rule that splits text before merging
(``tokenizer.ggml.pre``). A name that is not known here is refused, because a guess would give other ids.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from gguf import GGUFReader, TokenType
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

from rareneurons.errors import CorpusError
from rareneurons.gguf_files.reading import open_gguf, value_of
from rareneurons.models.weights import reason_of

GIVE_ANOTHER = (
    "Give the tokenizer that the model was trained with, as a folder with tokenizer.json (source: local, or hub)"
)
BYTE_PAIRS = "gpt2"  # llama.cpp's name for byte-level BPE, whichever model it belongs to
SPECIAL_KEYS = {
    "bos_token": "bos_token_id",
    "eos_token": "eos_token_id",
    "unk_token": "unknown_token_id",
    "pad_token": "padding_token_id",
}
LLAMA_3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN_2 = LLAMA_3.replace(r"\p{N}{1,3}", r"\p{N}")


@dataclass(frozen=True)
class Splitting:
    """How text is cut before merging: by GPT-2's rule or a regular expression, each digit alone, after NFC.

    ``whole_first``: a piece that is in the vocabulary is taken whole, whatever the merges give.
    """

    expression: str | None = None
    single_digits: bool = False
    composed: bool = False
    whole_first: bool = False


# llama.cpp's names (`llm_load_vocab`), as the tokenizer.json of the models that have them says it.
SPLITTINGS = {
    "gpt-2": Splitting(),
    "smollm": Splitting(single_digits=True),
    "llama-bpe": Splitting(LLAMA_3, whole_first=True),
    "qwen2": Splitting(QWEN_2, composed=True),
}


def unpack_tokenizer(file: str, folder: str) -> None:
    """Write a GGUF file's tokenizer as ``tokenizer.json`` and ``tokenizer_config.json``; ids are those of the file.

    Args:
        file: path of the GGUF file.
        folder: is there, and gets the two files.

    Raises:
        CheckpointError: no GGUF file, or a damaged one.
        CorpusError: it holds no tokenizer, or one that cannot be rebuilt exactly.
    """
    opened = open_gguf(file)
    tokens = value_of(opened, "tokenizer.ggml.tokens")
    if not tokens:
        raise CorpusError(f"{file}: holds no tokenizer (tokenizer.ggml.tokens). {GIVE_ANOTHER}")
    backend = _backend(opened, tokens, file)
    special = {}
    for name, key in SPECIAL_KEYS.items():
        number = value_of(opened, f"tokenizer.ggml.{key}")
        if number is not None and not 0 <= number < len(tokens):
            raise CorpusError(
                f"{file}: tokenizer.ggml.{key}: found {number}; expected an id below {len(tokens)}. {GIVE_ANOTHER}"
            )
        if number is not None:
            special[name] = tokens[number]
    backend.save(str(Path(folder) / "tokenizer.json"))
    settings = {"tokenizer_class": "PreTrainedTokenizerFast"} | special
    (Path(folder) / "tokenizer_config.json").write_text(json.dumps(settings, indent=2, ensure_ascii=False) + "\n")


def _backend(opened: GGUFReader, tokens: list[str], file: str) -> Tokenizer:
    kind, name = value_of(opened, "tokenizer.ggml.model"), value_of(opened, "tokenizer.ggml.pre")
    if kind != BYTE_PAIRS:
        raise CorpusError(f"{file}: tokenizer.ggml.model: found {kind!r}; expected {BYTE_PAIRS!r}. {GIVE_ANOTHER}")
    if name not in SPLITTINGS:
        raise CorpusError(
            f"{file}: tokenizer.ggml.pre: found {name!r}; expected one of {', '.join(SPLITTINGS)}, because how text is "
            f"split by another name is not known here. {GIVE_ANOTHER}"
        )
    splitting = SPLITTINGS[name]
    ids = {token: number for number, token in enumerate(tokens)}
    if len(ids) < len(tokens):
        raise CorpusError(f"{file}: tokenizer.ggml.tokens holds the same token under several ids. {GIVE_ANOTHER}")
    merges = [tuple(merge.split(" ", 1)) for merge in value_of(opened, "tokenizer.ggml.merges") or []]
    try:
        backend = Tokenizer(models.BPE(vocab=ids, merges=merges, ignore_merges=splitting.whole_first))
    except Exception as error:  # the library raises no narrower class
        raise CorpusError(
            f"{file}: tokenizer.ggml.merges do not belong to its vocabulary ({reason_of(error)}). {GIVE_ANOTHER}"
        ) from error
    backend.pre_tokenizer = _pre_tokenizer(splitting)
    if splitting.composed:
        backend.normalizer = normalizers.NFC()
    backend.decoder = decoders.ByteLevel()
    types = value_of(opened, "tokenizer.ggml.token_type") or []
    for token, kind_of_token in zip(tokens, types, strict=False):
        if kind_of_token in (TokenType.CONTROL, TokenType.USER_DEFINED):
            control = kind_of_token == TokenType.CONTROL
            backend.add_tokens([AddedToken(token, special=control, normalized=False)])
    return backend


def _pre_tokenizer(splitting: Splitting) -> pre_tokenizers.PreTokenizer:
    own = splitting.expression is not None
    steps: list[pre_tokenizers.PreTokenizer] = []
    if splitting.expression is not None:
        steps.append(pre_tokenizers.Split(Regex(splitting.expression), behavior="isolated"))
    if splitting.single_digits:
        steps.append(pre_tokenizers.Digits(individual_digits=True))
    steps.append(pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=not own))
    return pre_tokenizers.Sequence(steps)
