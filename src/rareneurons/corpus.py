"""Documents: read, extracted from installed packages, deduplicated, set aside for evaluation."""

import ast
import gzip
import hashlib
import importlib.util
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from rareneurons.errors import CorpusError

READABLE_SUFFIXES = (".jsonl", ".jsonl.gz", ".json.gz", ".txt", ".parquet")


STATEMENT_LISTS = ("body", "orelse", "finalbody", "handlers", "cases")
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def docstrings(source: str) -> list[str]:
    """Docstrings of a Python source text: of the module, its classes and its functions, in order.

    Raises:
        SyntaxError: the text is not Python.
    """
    if '"""' not in source and "'''" not in source:
        return []
    found = []
    waiting: list[ast.AST] = [ast.parse(source)]
    while waiting:  # statements alone: expressions, most of the tree, hold no definitions
        node = waiting.pop()
        if isinstance(node, DOCUMENTED):
            found.append(ast.get_docstring(node))
        for field in STATEMENT_LISTS:
            waiting.extend(reversed(getattr(node, field, None) or []))
    return [text for text in found if text]


def package_sources(package: str) -> Iterator[str]:
    """Source texts of an installed package, file by file in sorted order; the package is not imported.

    Raises:
        CorpusError: the package is not installed.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise CorpusError(
            f"corpora[].packages: {package!r} is not an installed package with source files; "
            "install it or remove it from the list"
        )
    for location in spec.submodule_search_locations:
        for file in sorted(Path(location).rglob("*.py")):
            yield file.read_text(encoding="utf-8", errors="replace")


def package_docstrings(package: str) -> list[str]:
    """Docstrings of an installed package; files that this Python cannot parse are passed over.

    Raises:
        CorpusError: the package is not installed.
    """
    texts: list[str] = []
    for source in package_sources(package):
        try:
            texts.extend(docstrings(source))
        except (SyntaxError, ValueError):  # templates and test data that are not meant to parse
            continue
    return texts


def read_documents(file: str, text_column: str = "text") -> list[str]:
    """Documents of a file: JSON lines (optionally gzipped), Parquet, or plain text with blank lines between documents.

    Raises:
        CorpusError: unknown suffix, missing column, or a line that is not JSON.
    """
    if file.endswith((".jsonl", ".jsonl.gz", ".json.gz")):
        opener = gzip.open if file.endswith(".gz") else open
        with opener(file, "rt", encoding="utf-8") as lines:
            return [
                _text_of_line(line, number, file, text_column) for number, line in enumerate(lines, 1) if line.strip()
            ]
    if file.endswith(".parquet"):
        frame = pd.read_parquet(file)
        if text_column not in frame:
            raise CorpusError(
                f"{file}: no column {text_column!r}; found {', '.join(map(str, frame.columns))}. "
                "Set corpora[].text_column"
            )
        return [str(text) for text in frame[text_column].dropna()]
    if file.endswith(".txt"):
        with open(file, encoding="utf-8") as handle:
            return [part.strip() for part in handle.read().split("\n\n") if part.strip()]
    raise CorpusError(f"{file}: cannot read this kind of file; expected one of {', '.join(READABLE_SUFFIXES)}")


def _text_of_line(line: str, number: int, file: str, text_column: str) -> str:
    try:
        return str(json.loads(line)[text_column])
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise CorpusError(
            f"{file}, line {number}: expected a JSON object with key {text_column!r} ({error})"
        ) from error


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", errors="surrogatepass")).hexdigest()


@dataclass(frozen=True)
class Corpus:
    """Deduplicated documents in a fixed order.

    ``documents`` has columns ``document`` (integer id), ``text`` and ``partition`` (``train`` or ``evaluation``);
    ``sha256`` identifies texts and order.
    """

    documents: pd.DataFrame
    sha256: str


def build_corpus(texts: Iterable[str], min_characters: int, evaluation_share: float) -> Corpus:
    """Drop short texts and repeats, sort, and set documents aside for evaluation.

    A document's partition depends on its own text alone (the leading bits of its SHA-256), so adding documents
    moves none across.

    Args:
        texts: documents in any order, possibly repeated.
        min_characters: shorter documents are dropped.
        evaluation_share: expected share of documents in the ``evaluation`` partition, in (0, 1]; models trained by
            the workflow never see those. 1 where nothing is trained.

    Raises:
        CorpusError: nothing is left.
    """
    kept = sorted({text for text in texts if len(text) >= min_characters})
    if not kept:
        raise CorpusError(
            f"corpus: no document of at least {min_characters} characters; "
            "lower corpora[].min_characters or give more text"
        )
    digests = [_digest(text) for text in kept]
    threshold = evaluation_share * 16**8
    partitions = ["evaluation" if int(d[:8], 16) < threshold else "train" for d in digests]
    documents = pd.DataFrame({"document": np.arange(len(kept)), "text": kept, "partition": partitions})
    return Corpus(documents, hashlib.sha256("".join(digests).encode()).hexdigest())


def manifest(corpus: Corpus) -> dict[str, object]:
    """What identifies a corpus: its hash and how many documents and characters each partition has."""
    partitions = corpus.documents.groupby("partition")["text"]
    return {
        "sha256": corpus.sha256,
        "documents": {str(name): len(texts) for name, texts in partitions},
        "characters": {str(name): int(texts.str.len().sum()) for name, texts in partitions},
    }


def training_texts(documents: pd.DataFrame) -> list[str]:
    """Texts of the ``train`` partition; all texts where everything is set aside for evaluation."""
    training = documents[documents["partition"] == "train"]
    return list((training if len(training) else documents)["text"])


def evaluation_documents(documents: pd.DataFrame, most: int, rng: np.random.Generator) -> pd.DataFrame:
    """At most ``most`` documents of the ``evaluation`` partition, drawn at random, in order of their id."""
    available = documents[documents["partition"] == "evaluation"]
    chosen = np.sort(rng.permutation(len(available))[:most])
    return available.iloc[chosen]
