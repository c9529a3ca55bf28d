"""Documents: extraction, reading, deduplication, partitions."""

import ast
import gzip
import json

import numpy as np
import pandas as pd
import pytest

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
    (tmp_path / "a.txt").write_text("\n\n".join(texts))
    pd.DataFrame({"text": texts}).to_parquet(tmp_path / "a.parquet")
    for name in ("a.jsonl", "a.jsonl.gz", "a.txt", "a.parquet"):
        assert corpus.read_documents(str(tmp_path / name)) == texts


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", '{"text": "x"}\n{"body": "y"}\n', "line 2"),
        ("b.jsonl", "not json\n", "line 1"),
        ("c.csv", "text\nx\n", "cannot read"),
    ],
)
def test_unreadable_files_say_where(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(CorpusError, match=message):
        corpus.read_documents(str(tmp_path / name))


def test_missing_column_names_what_is_there(tmp_path):
    pd.DataFrame({"body": ["x"]}).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(CorpusError, match=r"no column 'text'; found body"):
        corpus.read_documents(str(tmp_path / "a.parquet"))


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
