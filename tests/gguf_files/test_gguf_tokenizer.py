"""A GGUF file's tokenizer: the ids of the tokenizer that the model was trained with, or one message."""

import pytest
from tiny_gguf import tokenizer_metadata, write
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers.integrations.gguf.gguf_tokenizer_mapping import GGUF_PRE_TOKENIZER_SPLITS

from rareneurons.errors import CorpusError
from rareneurons.gguf_files.tokenizer import SPLITTINGS, unpack_tokenizer
from rareneurons.tokens import open_tokenizer, separator_id, special_ids

TEXTS = [
    "The cat sat on 1234 mats and 567 logs; it's the cat's 2nd log.",
    "def f(x):\n    return x ** 12345  # they'LL see\r\n\r\n\tAnd  more   spaces  ",
    "Cafe\u0301 na\u00efve \u65e5\u672c\u8a9e \u0660\u0661\u0662 a_b-c...?! <|im_start|>user",
]
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]


def of_expression(expression: str) -> list:
    return [
        pre_tokenizers.Split(Regex(expression), behavior="isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ]


# As the tokenizer.json of GPT-2, SmolLM2, Llama 3 and Qwen 2 says it.
STEPS = {
    "gpt-2": [pre_tokenizers.ByteLevel(add_prefix_space=False)],
    "smollm": [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)],
    "llama-bpe": of_expression(GGUF_PRE_TOKENIZER_SPLITS["llama-bpe"]),
    "qwen2": of_expression(GGUF_PRE_TOKENIZER_SPLITS["qwen2"]),
}


def trained(pre: str) -> Tokenizer:
    """Byte-level BPE whose merges join digits, spaces and words, so that another splitting gives other ids."""
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=700, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False
    )
    backend.train_from_iterator([*TEXTS, *(word for text in TEXTS for word in text.split(" "))] * 4, trainer)
    backend.model.ignore_merges = pre == "llama-bpe"
    backend.pre_tokenizer = pre_tokenizers.Sequence(STEPS[pre])
    backend.decoder = decoders.ByteLevel()
    if pre == "qwen2":
        backend.normalizer = normalizers.NFC()
    return backend


def file_of(tmp_path, trained_with: str = "gpt-2", **changes) -> str:
    """``changes``: keys of the tokenizer's metadata; None takes one away."""
    said = tokenizer_metadata(trained(trained_with), trained_with, {"bos": 1, "eos": 2, "unknown": 0})
    said |= {f"tokenizer.ggml.{key}": value for key, value in changes.items()}
    return write(tmp_path / "t.gguf", "llama", {key: value for key, value in said.items() if value is not None}, {})


@pytest.mark.oracle
@pytest.mark.parametrize("pre", SPLITTINGS)
def test_ids_are_those_of_the_trained_tokenizer(tmp_path, pre):
    unpack_tokenizer(file_of(tmp_path, pre), str(tmp_path))
    found, expected = open_tokenizer(str(tmp_path)), trained(pre)
    assert len(found) == expected.get_vocab_size()
    for text in TEXTS:
        ids = found.backend_tokenizer.encode(text).ids
        assert ids == expected.encode(text).ids
        assert found.decode(ids) == expected.decode(ids, skip_special_tokens=False)
    assert (separator_id(found), found.eos_token_id, found.unk_token_id) == (1, 2, 0)
    assert special_ids(found) == [0, 1, 2]


def test_splittings_differ_on_these_texts():
    """Else the test above would pass with any of them."""
    vocabulary = trained("gpt-2")
    ids = set()
    for steps in STEPS.values():
        vocabulary.pre_tokenizer = pre_tokenizers.Sequence(steps)
        ids.add(tuple(tuple(vocabulary.encode(text).ids) for text in TEXTS))
    assert len(ids) == len(STEPS)


def test_tokens_of_the_user_stay_whole_and_are_not_special(tmp_path):
    backend = trained("gpt-2")
    backend.add_tokens([AddedToken("<think>", normalized=False)])
    said = tokenizer_metadata(backend, "gpt-2", {"bos": 1})
    said["tokenizer.ggml.token_type"][backend.token_to_id("<think>")] = 4  # llama.cpp's USER_DEFINED
    unpack_tokenizer(write(tmp_path / "t.gguf", "llama", said, {}), str(tmp_path))
    found = open_tokenizer(str(tmp_path))
    assert found.backend_tokenizer.encode("a<think>b").tokens == ["a", "<think>", "b"]
    assert special_ids(found) == [0, 1, 2]


WRONG = {
    "none": ({"tokens": None}, r"holds no tokenizer \(tokenizer.ggml.tokens\). Give the tokenizer"),
    "SentencePiece": ({"model": "llama"}, "tokenizer.ggml.model: found 'llama'; expected 'gpt2'"),
    "unknown splitting": ({"pre": "tekken"}, "pre: found 'tekken'; expected one of gpt-2, smollm, llama-bpe, qwen2"),
    "no splitting": ({"pre": None}, "tokenizer.ggml.pre: found None"),
    "foreign merges": ({"merges": ["zz qq"]}, "tokenizer.ggml.merges do not belong to its vocabulary"),
    "an id too far": ({"bos_token_id": 9999}, r"tokenizer.ggml.bos_token_id: found 9999; expected an id below \d+"),
    "twice": ({"tokens": ["a", "a"]}, "holds the same token under several ids"),
}  # fmt: skip


@pytest.mark.faults
@pytest.mark.parametrize("case", WRONG)
def test_a_tokenizer_that_cannot_be_rebuilt_is_refused(tmp_path, case):
    changes, message = WRONG[case]
    file = file_of(tmp_path, **changes)
    with pytest.raises(CorpusError, match=message) as refused:
        unpack_tokenizer(file, str(tmp_path))
    assert str(refused.value).startswith(file)
