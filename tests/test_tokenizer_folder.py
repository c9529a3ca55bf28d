"""Tokenizer folders: the ids are the file's own, and text is never a special token."""

import json
import os

import numpy as np
import pandas as pd
import pytest
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from rareneurons import tokens
from rareneurons.errors import CorpusError
from rareneurons.model_folders.tokenizer_files import tokenizer_files

TEXTS = ["The cat sat on 1234 mats and 567 logs", "the dog sat on a log, 1234 times"] * 5
SPECIAL = ["<|endoftext|>", "<|pad|>"]
NAMED = {"bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>"}
SPLIT_DIGITS = pre_tokenizers.Digits(individual_digits=True)
DOCUMENTS = pd.DataFrame({"document": [0, 1], "text": TEXTS[:2]})


def byte_level(*pre, normalizer=None) -> Tokenizer:
    """A byte-level BPE tokenizer whose file says more than any class does."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.Sequence([*pre, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    made.decoder = decoders.ByteLevel()
    if normalizer is not None:
        made.normalizer = normalizer
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=330, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False
    )
    plain = Tokenizer(models.BPE())
    plain.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    plain.train_from_iterator([*TEXTS, "1234 567 the cat"] * 3, trainer)
    trained = json.loads(plain.to_str())
    described = json.loads(made.to_str()) | {"model": trained["model"], "added_tokens": trained["added_tokens"]}
    return Tokenizer.from_str(json.dumps(described))


def folder_of(tmp_path, backend: Tokenizer, named: dict | None = None, **files) -> str:
    """A folder with tokenizer.json, tokenizer_config.json and other JSON files."""
    backend.save(str(tmp_path / "tokenizer.json"))
    for name, content in {"tokenizer_config": named, **files}.items():
        if content is not None:
            (tmp_path / f"{name}.json").write_text(json.dumps(content))
    return str(tmp_path)


def ids_of(folder: str, text: str) -> list[int]:
    return tokens.token_stream(tokens.open_tokenizer(folder), [text]).tolist()[1:]


@pytest.mark.parametrize("kind", ["GPT2Tokenizer", "GPTNeoXTokenizer", "Qwen2Tokenizer", "LlamaTokenizer", None])
@pytest.mark.parametrize("normalizer", [None, normalizers.Lowercase()], ids=["as it is", "lower case"])
def test_ids_are_those_of_the_file_whatever_class_is_named(tmp_path, kind, normalizer):
    backend = byte_level(SPLIT_DIGITS, normalizer=normalizer)
    folder = folder_of(tmp_path, backend, {**NAMED, "tokenizer_class": kind})
    expected = backend.encode(TEXTS[0], add_special_tokens=False).ids
    opened = tokens.open_tokenizer(folder)
    assert ids_of(folder, TEXTS[0]) == expected
    assert opened(TEXTS[0], add_special_tokens=False)["input_ids"] == expected
    assert tokens.document_blocks(opened, DOCUMENTS, 200).tokens[0, 1 : len(expected) + 1].tolist() == expected
    assert len(opened) == backend.get_vocab_size()


def test_a_prefix_space_asked_for_beside_the_file_does_not_count(tmp_path):
    backend = byte_level()
    folder = folder_of(tmp_path, backend, {**NAMED, "tokenizer_class": "GPT2Tokenizer", "add_prefix_space": True})
    assert ids_of(folder, "cat") == backend.encode("cat", add_special_tokens=False).ids


@pytest.mark.parametrize(
    ("config", "files", "separator"),
    [
        ({"bos_token": "<|pad|>", "eos_token": "<|endoftext|>"}, {}, 1),
        ({"bos_token": {"content": "<|pad|>", "__type": "AddedToken"}}, {}, 1),
        ({"bos_token": None, "eos_token": "<|endoftext|>"}, {}, 0),
        ({}, {"special_tokens_map": {"eos_token": {"content": "<|pad|>"}}}, 1),
        (None, {"special_tokens_map": {"bos_token": "<|endoftext|>"}}, 0),
        ({"model_max_length": 1024}, {"config": {"model_type": "gpt2", "bos_token_id": 0}}, 0),
        ({"tokenizer_class": "GPT2Tokenizer"}, {}, 0),
    ],
)
def test_the_separator_is_the_one_that_the_files_name(tmp_path, config, files, separator):
    opened = tokens.open_tokenizer(folder_of(tmp_path, byte_level(SPLIT_DIGITS), config, **files))
    assert tokens.separator_id(opened) == separator
    assert set(tokens.special_ids(opened)) == {0, 1}


def test_an_id_of_a_configuration_that_is_an_ordinary_token_is_no_separator(tmp_path):
    folder = folder_of(tmp_path, byte_level(), None, config={"model_type": "llama", "bos_token_id": 70})
    with pytest.raises(CorpusError, match=r"tokenizers\[\]\.folder: .* neither bos_token nor eos_token"):
        tokens.separator_id(tokens.open_tokenizer(folder))


@pytest.mark.parametrize("settings", [{"truncation_side": "left"}, {"model_max_length": 4}, {"padding_side": "left"}])
def test_settings_beside_the_file_cut_nothing(tmp_path, settings):
    backend = byte_level()
    opened = tokens.open_tokenizer(folder_of(tmp_path, backend, NAMED | settings))
    expected = backend.encode(TEXTS[0], add_special_tokens=False).ids
    assert tokens.document_blocks(opened, DOCUMENTS, 8).tokens[0].tolist() == [0, *expected[:7]]
    assert tokens.token_stream(opened, TEXTS[:1]).tolist() == [0, *expected]


def test_truncation_padding_and_dropout_in_the_file_do_not_count(tmp_path):
    backend = byte_level()
    expected = backend.encode(TEXTS[0], add_special_tokens=False).ids
    backend.enable_truncation(5, direction="left")
    backend.enable_padding(length=300, pad_id=1, pad_token="<|pad|>")
    backend.model.dropout = 0.9
    opened = tokens.open_tokenizer(folder_of(tmp_path, backend, NAMED))
    assert tokens.token_stream(opened, TEXTS[:1]).tolist() == [0, *expected]
    blocks = tokens.document_blocks(opened, DOCUMENTS, 8)
    assert blocks.tokens[0].tolist() == [0, *expected[:7]]


@pytest.mark.parametrize("name", ["bos_token", "eos_token", "pad_token"])
@pytest.mark.parametrize("file", ["tokenizer_config", "special_tokens_map"])
@pytest.mark.parametrize("as_mapping", [False, True])
def test_special_tokens_that_the_vocabulary_lacks_are_refused(tmp_path, name, file, as_mapping):
    token = {"content": "<s>", "lstrip": False} if as_mapping else "<s>"
    folder_of(tmp_path, byte_level(), NAMED)
    (tmp_path / f"{file}.json").write_text(json.dumps(NAMED | {name: token}))
    with pytest.raises(CorpusError, match=rf"tokenizers\[\]\.folder: .* names '<s>' as {name}, which its vocabulary"):
        tokens.open_tokenizer(str(tmp_path))


def whole(backend: Tokenizer) -> bytes:
    return backend.to_str().encode()


BROKEN_TABLE = b'{"type": "Precompiled", "precompiled_charsmap": "AAAA"}'
BROKEN = {
    "empty folder": ({}, r"holds no tokenizer \(found no files\)"),
    "a model's folder": ({"config.json": b'{"model_type": "gpt2"}'}, r"holds no tokenizer \(found config\.json\)"),
    "settings alone": (
        {"tokenizer_config.json": b'{"tokenizer_class": "GPT2Tokenizer"}'},
        r"holds no tokenizer \(found tokenizer_config\.json\)",
    ),
    "cut short": ({"tokenizer.json": whole(byte_level())[:2000]}, r"tokenizer\.json cannot be read as a tokenizer"),
    "another kind": ({"tokenizer.json": b'{"a": 1}'}, r"tokenizer\.json cannot be read as a tokenizer"),
    "a list": ({"tokenizer.json": b"[]"}, r"tokenizer\.json cannot be read as a tokenizer"),
    "zero bytes": ({"tokenizer.json": b""}, r"tokenizer\.json cannot be read as a tokenizer"),
    "not UTF-8": ({"tokenizer.json": b"\xff\xfe{"}, r"tokenizer\.json cannot be read as a tokenizer"),
    "pointer": (
        {"tokenizer.json": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"},
        r"tokenizer\.json is a Git LFS pointer",
    ),
    "no vocabulary": ({"tokenizer.json": whole(Tokenizer(models.BPE()))}, "a tokenizer without a vocabulary"),
    "a broken table": (
        {"tokenizer.json": whole(byte_level()).replace(b'"normalizer":null', b'"normalizer":' + BROKEN_TABLE)},
        r"tokenizer\.json cannot be read as a tokenizer",
    ),
    "other ids": (
        {
            "tokenizer.json": whole(byte_level()).replace(b'"id":1,', b'"id":999,'),
            "tokenizer_config.json": b'{"eos_token": "<|pad|>"}',
        },
        r"added token '<\|pad\|>' the id 999, where its vocabulary has 1",
    ),
    "no separator": (
        {"tokenizer.json": whole(byte_level()), "tokenizer_config.json": b'{"pad_token": "<|pad|>"}'},
        "names neither bos_token nor eos_token",
    ),
    "settings that are no JSON": (
        {"tokenizer.json": whole(byte_level()), "tokenizer_config.json": b"{"},
        r"tokenizer_config\.json is not JSON",
    ),
    "settings of another kind": (
        {"tokenizer.json": whole(byte_level()), "special_tokens_map.json": b"[1]"},
        r"special_tokens_map\.json holds a list",
    ),
    "a token that is none": (
        {"tokenizer.json": whole(byte_level()), "tokenizer_config.json": b'{"bos_token": 5}'},
        "bos_token is 5, expected text",
    ),
    "merges missing": (
        {"vocab.json": b'{"a": 0, "b": 1}', "config.json": b'{"model_type": "gpt2"}'},
        r"has no tokenizer\.json, and vocab\.json cannot be read",
    ),
    "no class known": (
        {"vocab.json": b'{"a": 0, "b": 1}', "merges.txt": b"#version: 0.2\n"},
        r"has no tokenizer\.json, and merges\.txt, vocab\.json cannot be read",
    ),
    "SentencePiece": (
        {"tokenizer.model": b"garbage", "tokenizer_config.json": b'{"tokenizer_class": "LlamaTokenizer"}'},
        r"has no tokenizer\.json, and tokenizer\.model cannot be read .* package sentencepiece",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_no_or_a_broken_tokenizer_is_named(tmp_path, case):
    files, message = BROKEN[case]
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    with pytest.raises(CorpusError, match=rf"^tokenizers\[\]\.folder: '.*' ?.*{message}"):
        tokens.open_tokenizer(str(tmp_path))
    with pytest.raises(CorpusError, match=r"^tokenizers\[\]\.repository: a/b"):
        tokens.open_tokenizer(str(tmp_path), "tokenizers[].repository: a/b")


def test_vocabulary_and_merges_without_a_tokenizer_json_still_work(tmp_path):
    backend = byte_level()
    backend.model.save(str(tmp_path))
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "GPT2Tokenizer"}))
    assert ids_of(str(tmp_path), TEXTS[0]) == backend.encode(TEXTS[0], add_special_tokens=False).ids
    (tmp_path / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "GPT2Tokenizer", "bos_token": "<s>"})
    )
    with pytest.raises(CorpusError, match="names '<s>' as bos_token, which its vocabulary lacks"):
        tokens.open_tokenizer(str(tmp_path))


LITERAL = "a log <|endoftext|> the <|pad|> end<|endoftext|>"


def test_text_that_spells_a_special_token_is_text(tmp_path):
    backend = byte_level()
    folder = folder_of(tmp_path, backend, NAMED)
    plain = json.loads(backend.to_str()) | {"added_tokens": []}
    expected = Tokenizer.from_str(json.dumps(plain)).encode(LITERAL, add_special_tokens=False).ids
    opened = tokens.open_tokenizer(folder)
    stream = tokens.token_stream(opened, [LITERAL, TEXTS[0]])
    assert np.flatnonzero(stream == 0).tolist() == [0, len(expected) + 1]
    assert stream[1 : len(expected) + 1].tolist() == expected
    assert opened.decode(expected) == LITERAL
    blocks = tokens.document_blocks(opened, pd.DataFrame({"document": [0], "text": [LITERAL]}), 100)
    assert blocks.length.tolist() == [len(expected) + 1]
    assert blocks.tokens[0, 1 : len(expected) + 1].tolist() == expected


def test_added_tokens_that_are_not_special_are_vocabulary(tmp_path):
    """Pythia's runs of spaces are such tokens."""
    backend = byte_level()
    backend.add_tokens(["    ", "|||IP|||"])
    folder = folder_of(tmp_path, backend, NAMED)
    found = ids_of(folder, "a    b|||IP|||<|pad|>")
    assert found == [*backend.encode("a    b|||IP|||", add_special_tokens=False).ids, *found[-len("<|pad|>") :]]
    assert backend.token_to_id("    ") in found
    assert not {0, 1} & set(found)


def test_a_separator_that_is_marked_as_an_ordinary_token_is_no_text_either(tmp_path):
    described = json.loads(byte_level().to_str())
    described["added_tokens"][0]["special"] = False
    found = ids_of(folder_of(tmp_path, Tokenizer.from_str(json.dumps(described)), NAMED), LITERAL)
    assert not {0, 1} & set(found)


def pieces() -> Tokenizer:
    """A SentencePiece-like tokenizer whose pieces include its control tokens."""
    letters = [(letter, -5.0) for letter in "</s>▁abcdeghlotu"]
    made = Tokenizer(models.Unigram([("<unk>", 0.0), ("<s>", 0.0), ("</s>", 0.0), *letters, ("▁the", -2.0)], unk_id=0))
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    made.add_special_tokens(["<unk>", "<s>", "</s>"])
    return made


def words() -> Tokenizer:
    vocabulary = {"<unk>": 0, "<s>": 1, "the": 2, "cat": 3}
    made = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return made


def merged() -> Tokenizer:
    """A tokenizer whose merges can make its control token from characters, as converted SentencePiece files do."""
    vocabulary = {"<unk>": 0, "<s>": 1, "<": 2, "s": 3, ">": 4, "<s": 5, "t": 6, "▁": 7}
    made = Tokenizer(models.BPE(vocabulary, [("<", "s"), ("<s", ">")], unk_token="<unk>"))
    made.normalizer = normalizers.Replace(" ", "▁")
    made.add_special_tokens(["<unk>", "<s>"])
    return made


@pytest.mark.parametrize(
    ("make", "text", "expected"),
    [
        (pieces, "the <s>", ["▁the", "▁", "<", "s", ">"]),
        (pieces, "the </s> <unk>", ["▁the", "▁", "<", "/", "s", ">", "▁", "<", "u", "<unk>", ">"]),
        (words, "the <s> cat", ["the", "<unk>", "cat"]),
        (merged, "t <s>", ["t", "▁", "<s", ">"]),
    ],
)
def test_no_model_of_a_tokenizer_makes_a_special_token_of_text(tmp_path, make, text, expected):
    folder = folder_of(tmp_path, make(), {"bos_token": "<s>", "unk_token": "<unk>"})
    opened = tokens.open_tokenizer(folder)
    assert opened.convert_ids_to_tokens(ids_of(folder, text)) == expected


def test_a_single_character_that_also_serves_as_padding_stays_text(tmp_path):
    backend = byte_level()
    expected = backend.encode("the cat !", add_special_tokens=False).ids
    assert ids_of(folder_of(tmp_path, backend, NAMED | {"pad_token": "!"}), "the cat !") == expected


def test_unknown_characters_that_would_be_separators_are_refused(tmp_path):
    folder = folder_of(tmp_path, words(), {"bos_token": "<unk>", "unk_token": "<unk>"})
    with pytest.raises(CorpusError, match=r"begins with 'the dog' holds characters .* '<unk>' also comes before doc"):
        ids_of(folder, "the dog")


def test_tokens_of_a_template_are_not_put_into_documents(tmp_path):
    backend = byte_level()
    expected = backend.encode("the cat", add_special_tokens=False).ids
    backend.post_processor = processors.TemplateProcessing(
        single="<|endoftext|> $A <|pad|>", special_tokens=[("<|endoftext|>", 0), ("<|pad|>", 1)]
    )
    assert ids_of(folder_of(tmp_path, backend, NAMED | {"add_bos_token": True}), "the cat") == expected


@pytest.mark.oracle
def test_ids_of_a_tokenizer_of_the_workflow_are_those_of_its_own_encoding(tmp_path):
    trained = tokens.train_tokenizer(TEXTS, 280)
    trained.save_pretrained(tmp_path)
    opened = tokens.open_tokenizer(str(tmp_path))
    assert isinstance(opened, PreTrainedTokenizerFast)
    for text in [*TEXTS, "ünïcode – €", " leading", ""]:
        assert ids_of(str(tmp_path), text) == trained(text, add_special_tokens=False)["input_ids"]


def test_the_files_of_a_tokenizer_leave_out_a_model_s_weights(tmp_path):
    for name in ("tokenizer.json", "tokenizer_config.json", "config.json", "model.safetensors", "spiece.model"):
        (tmp_path / name).write_text("{}")
    (tmp_path / "tokenizer_of_old").mkdir()
    found = [os.path.basename(file) for file in tokenizer_files(str(tmp_path))]
    assert found == ["config.json", "spiece.model", "tokenizer.json", "tokenizer_config.json"]
