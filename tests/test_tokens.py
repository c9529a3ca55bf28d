"""Tokenizer, counts and blocks."""

import pandas as pd
import pytest
from tokenizers import Tokenizer, decoders, models
from transformers import PreTrainedTokenizerFast

from rareneurons import tokens
from rareneurons.errors import CorpusError

TEXTS = ["the cat sat on the mat", "the dog sat on the log", "a cat and a dog – ünïcode"] * 5


@pytest.fixture(scope="module")
def tokenizer():
    return tokens.train_tokenizer(TEXTS, 270)


def test_tokenizer_round_trip(tokenizer, tmp_path):
    tokenizer.save_pretrained(tmp_path)
    opened = tokens.open_tokenizer(str(tmp_path))
    for text in TEXTS:
        assert opened.decode(opened(text, add_special_tokens=False)["input_ids"]) == text
    assert tokens.separator_id(opened) == 0
    assert tokens.special_ids(opened) == [0, 1]


def test_too_many_tokens_are_refused():
    with pytest.raises(CorpusError, match="asked for 5000"):
        tokens.train_tokenizer(TEXTS, 5000)


def test_stream_and_counts(tokenizer):
    stream = tokens.token_stream(tokenizer, TEXTS)
    assert (stream == 0).sum() == len(TEXTS)
    counts = tokens.token_counts(stream, 270)
    assert counts.sum() == len(stream)
    assert all(counts[token] == (stream == token).sum() for token in range(270))


def test_blocks_hold_one_document_each(tokenizer):
    documents = pd.DataFrame({"document": [7, 9], "text": [TEXTS[0], "a"]})
    blocks = tokens.document_blocks(tokenizer, documents, 8)
    assert blocks.tokens.shape == (2, 8)
    assert blocks.length.tolist() == [8, 2]
    assert blocks.document.tolist() == [7, 9]
    assert tokenizer.decode(blocks.tokens[0, 1:]) == tokenizer.decode(
        tokenizer(TEXTS[0], add_special_tokens=False)["input_ids"][:7]
    )
    assert (blocks.tokens[1, 2:] == 0).all()


def test_visible_tokens_show_spaces_controls_and_parts_of_characters(tokenizer):
    def ids(text):
        return tokenizer(text, add_special_tokens=False)["input_ids"]

    the, line, bell = ids(" the")[0], ids("\n")[0], ids("\a")[0]
    part = ids("€")[0]  # the corpus has no euro sign, so that it is three tokens of a byte
    found = tokens.visible_tokens(tokenizer, [the, line, bell, part, 0, 10**6])
    assert found[the].startswith("␣t")
    assert (found[line], found[bell], found[0], found[10**6]) == ("↵", "\\x07", "<|endoftext|>", "#1000000")
    assert found[part] == tokenizer.convert_ids_to_tokens(part) == "â"


def test_visible_tokens_keep_the_space_that_sentencepiece_drops():
    words = Tokenizer(models.WordLevel({"▁the": 0, "the": 1, "<0xE2>": 2}, unk_token="the"))
    words.decoder = decoders.Metaspace()
    found = tokens.visible_tokens(PreTrainedTokenizerFast(tokenizer_object=words), [0, 1, 2])
    assert found == {0: "␣the", 1: "the", 2: "<0xE2>"}
