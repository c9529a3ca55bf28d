"""Documents: extraction, reading, deduplication, partitions."""

import ast
import csv
import gzip
import json
import logging
import sys
import tomllib

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest
from conftest import PROJECT

from rareneurons import corpus
from rareneurons.errors import CorpusError

SOURCE = '''
"""Module text."""
import os
try:
    def inside_try():
        """In a try block."""
except ImportError:
    class InHandler:
        """In a handler."""
        def method(self):
            """A method."""
            if True:
                async def deep():
                    """Deep down."""
else:
    def no_docstring():
        return """not a docstring"""
match os.name:
    case "posix":
        def in_case():
            """In a case."""
with open(os.devnull):
    for _ in ():
        while False:
            class Looped:
                """In a loop."""
'''


@pytest.mark.oracle
def test_docstrings_equal_a_walk_over_the_whole_tree():
    slow = {
        ast.get_docstring(node)
        for node in ast.walk(ast.parse(SOURCE))
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
    } - {None}
    found = corpus.docstrings(SOURCE)
    assert len(found) == 7
    assert set(found) == slow


def test_package_docstrings_and_missing_package():
    texts = corpus.package_docstrings("json")
    assert any("JavaScript Object Notation" in text for text in texts)
    with pytest.raises(CorpusError, match=r"corpora.*'no_such_package'"):
        corpus.package_docstrings("no_such_package")


def test_every_format_gives_the_same_documents(tmp_path):
    texts = ["first document", "second\ndocument", "third – ünïcode"]
    lines = "".join(json.dumps({"text": text}) + "\n" for text in texts)
    (tmp_path / "a.jsonl").write_text(lines)
    with gzip.open(tmp_path / "a.jsonl.gz", "wt") as file:
        file.write(lines)
    half = len(lines) // 2
    (tmp_path / "a.jsonl.zst").write_bytes(zst(lines))
    (tmp_path / "frames.jsonl.zst").write_bytes(zst(lines[:half]) + zst(lines[half:]))  # as tools with threads write
    (tmp_path / "a.txt").write_text("\n\n".join(texts))
    table = pd.DataFrame({"text": texts, "n, of them": range(3)})
    table.to_parquet(tmp_path / "a.parquet")
    table.to_csv(tmp_path / "a.csv", index=False)
    (tmp_path / "windows.csv").write_bytes(table.to_csv(index=False).replace("\n", "\r\n").encode("utf-8-sig"))
    for file in tmp_path.iterdir():
        assert corpus.read_texts(str(file)).documents == texts, file.name


def zst(text: str) -> bytes:
    written = pa.BufferOutputStream()
    with pa.CompressedOutputStream(written, "zstd") as compressed:
        compressed.write(text.encode())
    return written.getvalue().to_pybytes()


def test_a_long_zst_file_is_read_to_its_end_and_a_cut_one_refused(tmp_path, rng):
    texts = [" ".join(map(str, rng.integers(0, 10**9, 60))) for _ in range(3000)]
    compressed = zst("".join(json.dumps({"text": text}) + "\n" for text in texts))
    file = tmp_path / "a.jsonl.zst"
    file.write_bytes(compressed)
    assert corpus.read_texts(str(file)).documents == texts
    file.write_bytes(compressed[: len(compressed) // 2])
    with pytest.raises(CorpusError, match=r"a\.jsonl\.zst: damaged, or not what its name says"):
        corpus.read_texts(str(file))
    file.write_text('{"text": "no zst at all"}')
    with pytest.raises(CorpusError, match=r"a\.jsonl\.zst: damaged, or not what its name says"):
        corpus.read_texts(str(file))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("body,n\nx,1\n", r"a\.csv: no column 'text'; found body, n\. Set corpora"),
        ("text,text\nx,1\n", "two columns 'text'"),
        ("", "no column 'text'; found "),
        (
            "text,n\nfine,1\none, two,1\n",
            r"row that ends in line 3: found 3 fields, expected 2 \(text, n\); put double",
        ),
        ('text\n"open', r"a\.csv, line 2: no CSV \(unexpected end of data\)"),
        ("text\n", "holds no text"),
    ],
)
def test_csv_files_that_cannot_be_read_say_where(tmp_path, content, message):
    (tmp_path / "a.csv").write_text(content)
    with pytest.raises(CorpusError, match=message):
        corpus.read_texts(str(tmp_path / "a.csv"))


def test_csv_fields_may_be_long_and_lines_blank(tmp_path):
    limit = csv.field_size_limit()
    (tmp_path / "a.csv").write_text("text\n" + "x" * 200_000 + "\n\nshort\n")
    assert list(map(len, corpus.read_texts(str(tmp_path / "a.csv")).documents)) == [200_000, 5]
    assert csv.field_size_limit() == limit


def test_files_of_a_folder_are_read_one_after_the_other(tmp_path):
    (tmp_path / "a.txt").write_text("one\n\ntwo")
    (tmp_path / "b.jsonl").write_text('{"text": "three"}\n{"text": null}\n')
    read = corpus.read_files([str(tmp_path / "a.txt"), str(tmp_path / "b.jsonl")])
    assert (read.documents, read.n_null) == (["one", "two", "three"], 1)


def test_a_data_set_gives_the_same_documents_as_its_file(tmp_path):
    pytest.importorskip("datasets")
    texts = ["first document", "second\ndocument", None, "third – ünïcode", "fourth"]
    pd.DataFrame({"body": texts, "n": range(5)}).to_parquet(tmp_path / "train.parquet")
    pd.DataFrame({"body": ["held out"], "n": [0]}).to_parquet(tmp_path / "test.parquet")
    folder = str(tmp_path)
    assert corpus.dataset_texts(folder, "train", 100, "body") == texts
    plain = corpus.read_texts(str(tmp_path / "train.parquet"), "body")
    assert [text for text in texts if text is not None] == plain.documents
    assert corpus.dataset_texts(folder, "train", 2, "body") == texts[:2]
    assert corpus.dataset_texts(folder, "test", 2, "body") == ["held out"]
    for wrong, message in {
        ("valid", "body"): r"split 'valid' cannot be read \(Bad split: valid\. Available splits: \['train', 'test'\]",
        ("train", "text"): "no column 'text'; found body, n",
        ("train", "n"): "train, row 0: 'n' holds an integer, expected text",
    }.items():
        with pytest.raises(CorpusError, match=message):
            corpus.dataset_texts(folder, wrong[0], 5, wrong[1])
    with pytest.raises(CorpusError, match="subset 'small', split 'train' cannot be read"):
        corpus.dataset_texts(folder, "train", 5, "body", subset="small")
    with pytest.raises(CorpusError, match="'lab/nothing', subset None, split 'train' cannot be read"):
        corpus.dataset_texts("lab/nothing", "train", 5, "body", revision="main")


def test_subsets_of_a_data_set(tmp_path):
    pytest.importorskip("datasets")
    for subset in ("en", "de"):
        (tmp_path / subset).mkdir()
        (tmp_path / subset / "train.jsonl").write_text(json.dumps({"text": f"in {subset}"}))
    (tmp_path / "README.md").write_text(
        "---\nconfigs:\n- {config_name: en, data_files: en/*.jsonl}\n- {config_name: de, data_files: de/*.jsonl}\n---\n"
    )
    assert corpus.dataset_texts(str(tmp_path), "train", 5, "text", subset="de") == ["in de"]


def test_a_missing_package_is_named_with_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(CorpusError, match=r"needs the package datasets, .* pip install 'rareneurons\[datasets\]'"):
        corpus.dataset_texts("lab/texts", "train", 5, "text")
    extras = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert "datasets" in extras["datasets"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", '{"text": "x"}\n{"body": "y"}\n', "line 2"),
        ("b.jsonl", "not json\n", "line 1"),
        ("c.tsv", "text\nx\n", "cannot read"),
    ],
)
def test_unreadable_files_say_where(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(CorpusError, match=message):
        corpus.read_texts(str(tmp_path / name))


def test_missing_column_names_what_is_there(tmp_path):
    pd.DataFrame({"body": ["x"]}).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(CorpusError, match=r"no column 'text'; found body"):
        corpus.read_texts(str(tmp_path / "a.parquet"))


def test_corpus_does_not_depend_on_order_and_drops_repeats_and_short_texts():
    texts = [f"document number {i}" for i in range(200)]
    one = corpus.build_corpus([*texts, "short", texts[0]], 10, 0.25)
    other = corpus.build_corpus(reversed(texts), 10, 0.25)
    assert one.sha256 == other.sha256
    pd.testing.assert_frame_equal(one.documents, other.documents)
    assert len(one.documents) == 200
    share = (one.documents["partition"] == "evaluation").mean()
    assert 0.15 < share < 0.35
    more = corpus.build_corpus([*texts, "one more document"], 10, 0.25).documents
    together = one.documents.merge(more, on="text")
    assert (together["partition_x"] == together["partition_y"]).all()


def test_training_and_evaluation_never_share_a_document(rng):
    documents = corpus.build_corpus([f"document number {i}" for i in range(100)], 5, 0.5).documents
    evaluation = corpus.evaluation_documents(documents, 20, rng)
    assert len(evaluation) == 20
    assert evaluation["document"].is_monotonic_increasing
    assert not set(evaluation["text"]) & set(corpus.training_texts(documents))


def test_empty_corpus_is_refused():
    with pytest.raises(CorpusError, match="at least 10 characters"):
        corpus.build_corpus(["short"], 10, 0.5)


def test_manifest_counts(rng):
    built = corpus.build_corpus(["aaaaa", "bbbbb", "ccccc"], 5, 1.0)
    assert corpus.manifest(built) == {
        "sha256": built.sha256,
        "documents": {"evaluation": 3},
        "characters": {"evaluation": 15},
    }
    assert np.array_equal(built.documents["document"], [0, 1, 2])


CHAT = [{"role": "user", "content": "hello"}]
NO_TEXTS = {
    "chat": (CHAT, r"a list \(a mapping first\)"),
    "mapping": ({"content": "x"}, "a mapping"),
    "texts": (["x", "y"], r"a list \(a text first\)"),
    "ids": ([5, 6], r"a list \(an integer first\)"),
    "nothing in it": ([], "a list"),
    "integer": (7, "an integer"),
    "number": (0.5, "a number"),
    "truth": (True, "a truth value"),
    "bytes": (b"x", "bytes"),
}


@pytest.mark.parametrize("kind", NO_TEXTS)
def test_what_is_no_text_is_refused_with_its_place_and_type(tmp_path, kind):
    value, said = NO_TEXTS[kind]
    if kind != "bytes":
        file = tmp_path / "a.jsonl"
        file.write_text("".join(json.dumps({"text": each}) + "\n" for each in ("fine", None, value)))
        with pytest.raises(CorpusError, match=rf"a\.jsonl, line 3: 'text' holds {said}, expected text"):
            corpus.read_texts(str(file))
    file = tmp_path / "a.parquet"
    pa.parquet.write_table(pa.table({"text": [None, None, value, value]}), file, row_group_size=1)
    with pytest.raises(CorpusError, match=rf"a\.parquet, row 2: 'text' holds {said}, expected text"):
        corpus.read_texts(str(file))


def test_a_date_is_no_text(tmp_path):
    pd.DataFrame({"text": pd.to_datetime(["2026-01-01"])}).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(CorpusError, match=r"row 0: 'text' holds a value of type \w+, expected text"):
        corpus.read_texts(str(tmp_path / "a.parquet"))


def test_nulls_are_left_out_counted_and_said(tmp_path, caplog):
    (tmp_path / "a.jsonl").write_text('{"text": "x"}\n{"text": null}\n\n{"text": "None"}\n{"text": null}\n')
    pd.DataFrame({"text": ["x", None, "None", None]}).to_parquet(tmp_path / "a.parquet")
    for name in ("a.jsonl", "a.parquet"):
        caplog.clear()
        with caplog.at_level(logging.INFO):
            found = corpus.read_texts(str(tmp_path / name))
        assert found == corpus.Texts(["x", "None"], 2)
        assert f"{name}: 2 of 4 texts are null and left out" in caplog.text


def test_categories_and_long_strings_are_text(tmp_path):
    for number, texts in enumerate((pd.Categorical(["x", "y", "x"]), pa.array(["x", "y", "x"], pa.large_string()))):
        file = str(tmp_path / f"{number}.parquet")
        pa.parquet.write_table(pa.table({"text": texts, "other": [1, 2, 3]}), file)
        assert corpus.read_texts(file).documents == ["x", "y", "x"]


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
DAMAGED = {
    "latin1.jsonl": ('{"text": "a"}\n{"text": "caf\u00e9"}\n'.encode("latin-1"), r", line 2: byte 0xE9 after 13 char"),
    "latin1.txt": ("one\n\ncaf\u00e9".encode("latin-1"), r", line 3: byte 0xE9 after 3 characters is not UTF-8"),
    "latin1.jsonl.gz": (gzip.compress(b'{"text": "\xe9"}\n'), r", line 1: byte 0xE9 after 10 characters"),
    "utf16.txt": ("one".encode("utf-16"), r", line 1: byte 0xFF after 0 characters is not UTF-8"),
    "utf16le.txt": ("one".encode("utf-16-le"), r", line 1: holds a zero byte"),
    "surrogate.jsonl": (b'{"text": "fine"}\n{"text": "ab\\ud83d"}\n', r", line 2: 'text' holds half .*ud83d\) after 2"),
    "encoded.txt": (b"a\xed\xa0\x80", r", line 1: byte 0xED after 1 characters"),
    "cut.jsonl.gz": (gzip.compress(b'{"text": "x"}\n' * 1000)[:-20], r": damaged, or not what its name says"),
    "flipped.jsonl.gz": (gzip.compress(b"x")[:10] + b"\xff" * 30, r": damaged, or not what its name says"),
    "plain.jsonl.gz": (b'{"text": "x"}\n', r": damaged, or not what its name says \(Not a gzipped file"),
    "cut.parquet": (b"PAR1" + bytes(50), r": damaged, or not what its name says \(Parquet magic bytes"),
    "zero.parquet": (b"", r": damaged, or not what its name says"),
    "pointer.parquet": (POINTER, ": a Git LFS pointer"),
    "pointer.jsonl": (POINTER, ": a Git LFS pointer"),
    "list.jsonl": (b'["x"]\n', r", line 1: found a list \(a text first\), expected a JSON object"),
    "array.jsonl": (b'{"text": "x"}\n7\n', r", line 2: found an integer, expected a JSON object"),
    "deep.jsonl": (b"[" * 100_000, r", line 1: expected a JSON object"),
    "cut.jsonl": (b'{"text": "x"}\n{"text": "y', r", line 2: expected a JSON object"),
    "other.jsonl": (b'{"body": "x"}', r"found body\. Set corpora\[\]\.text_column"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_files_are_named_with_the_place(tmp_path, name):
    content, message = DAMAGED[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CorpusError, match=f"^{tmp_path}/{name}{message}" if message[0] in ":," else message):
        corpus.read_texts(str(tmp_path / name))


def test_a_parquet_file_with_a_broken_page_or_text_is_named(tmp_path):
    file = tmp_path / "a.parquet"
    pa.parquet.write_table(pa.table({"text": ["some text"] * 50}), file, compression="gzip", use_dictionary=False)
    whole = file.read_bytes()
    file.write_bytes(whole[:20] + bytes(20) + whole[40:])
    with pytest.raises(CorpusError, match=r"a\.parquet: damaged, or not what its name says"):
        corpus.read_texts(str(file))
    latin = pa.array([b"fine", b"caf\xe9"], pa.binary()).view(pa.string())
    pa.parquet.write_table(pa.table({"text": latin}), file)
    with pytest.raises(CorpusError, match=r"a\.parquet, rows 0 to 1: a text is not UTF-8"):
        corpus.read_texts(str(file))


def test_a_folder_and_two_columns_of_one_name_are_refused(tmp_path):
    (tmp_path / "parts.parquet").mkdir()
    with pytest.raises(CorpusError, match=r"parts\.parquet: a folder, expected one file"):
        corpus.read_texts(str(tmp_path / "parts.parquet"))
    twice = pa.table([pa.array(["x"]), pa.array(["y"])], names=["text", "text"])
    pa.parquet.write_table(twice, tmp_path / "twice.parquet")
    with pytest.raises(CorpusError, match="two columns 'text'"):
        corpus.read_texts(str(tmp_path / "twice.parquet"))


@pytest.mark.parametrize(
    "content",
    [
        b"one\nline\n \ntwo\n",
        b" \n = one\nline \n \n \n two\n\n",  # as WikiText has it
        b"one\r\nline\r\n\r\ntwo\r\n",
        b"\xef\xbb\xbfone\nline\n\t\x0c\n\xc2\xa0\ntwo",
    ],
)
def test_white_space_alone_is_a_blank_line(tmp_path, content):
    (tmp_path / "a.txt").write_bytes(content)
    found = corpus.read_texts(str(tmp_path / "a.txt")).documents
    assert [text.removeprefix("= ").replace(" \n", "\n") for text in found] == ["one\nline", "two"]


def test_a_byte_order_mark_and_blank_lines_do_not_count_in_json(tmp_path):
    lines = b'\xef\xbb\xbf{"text": "x"}\r\n \t\r\n{"text": "y\\r\\n"}\r\n'
    (tmp_path / "a.jsonl").write_bytes(lines)
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(lines))
    for name in ("a.jsonl", "a.jsonl.gz"):
        assert corpus.read_texts(str(tmp_path / name)).documents == ["x", "y\r\n"]


def test_documents_of_white_space_alone_are_left_out():
    built = corpus.build_corpus([" \n", "\u3000\u3000", "a text"], 1, 1.0)
    assert built.documents["text"].tolist() == ["a text"]
    with pytest.raises(CorpusError, match="no document of at least 1 characters"):
        corpus.build_corpus([" \n", ""], 1, 1.0)


def test_a_split_that_leaves_nothing_names_the_key_and_the_documents(rng):
    texts = [f"document number {i}" for i in range(10)]
    documents = corpus.build_corpus(texts, 5, 0.001).documents
    with pytest.raises(
        CorpusError, match=r"^corpora\[\]\.evaluation_share: it sets 0 of 10 documents aside .* at least 2 are needed"
    ):
        corpus.evaluation_documents(documents, 5, rng)
    with pytest.raises(CorpusError, match=r"^corpora\[\]\.evaluation_share: 0\.999 of 10 documents sets all"):
        corpus.build_corpus(texts, 5, 0.999)
    assert len(corpus.training_texts(corpus.build_corpus(texts, 5, 1.0).documents)) == 10


def test_a_docstring_that_utf8_cannot_hold_is_passed_over(monkeypatch):
    monkeypatch.setattr(corpus, "package_sources", lambda _: iter(['"""fine"""', '"""half \\ud800"""']))
    assert corpus.package_docstrings("any") == ["fine"]


@pytest.mark.parametrize("content", [b"", b" \n\n", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("name", ["a.txt", "a.jsonl"])
def test_a_file_without_text_is_named(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CorpusError, match=rf"{name}: holds no text"):
        corpus.read_texts(str(tmp_path / name))


def test_a_column_of_nulls_is_named(tmp_path):
    pa.parquet.write_table(pa.table({"text": [None] * 4}), tmp_path / "a.parquet")
    with pytest.raises(CorpusError, match=r"a\.parquet: all 4 values of 'text' are null; set corpora"):
        corpus.read_texts(str(tmp_path / "a.parquet"))
