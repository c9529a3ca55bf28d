"""Documents: read, extracted from installed packages, deduplicated, set aside for evaluation."""

import ast
import csv
import gzip
import hashlib
import importlib.util
import io
import json
import logging
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet

from rareneurons.conventions import READABLE_SUFFIXES
from rareneurons.errors import CorpusError

LEAST_DOCUMENTS = 2  # for evaluation: one for each split
KINDS = {
    type(None): "null",
    str: "a text",
    dict: "a mapping",
    list: "a list",
    bytes: "bytes",
    bool: "a truth value",
    int: "an integer",
    float: "a number",
}

STATEMENT_LISTS = ("body", "orelse", "finalbody", "handlers", "cases")
LONGEST_FIELD = 2**31 - 1  # characters of a field of a CSV file, in place of csv's 131,072
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def docstrings(source: str) -> list[str]:
    """Docstrings of a Python source text: of the module, its classes and its functions, in order.

    Raises:
        SyntaxError: the text is not Python.

    Examples:
        >>> docstrings('def double(x):\\n    \\'\\'\\'Twice a number.\\'\\'\\'\\n    return 2 * x')
        ['Twice a number.']
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
            texts.extend(text for text in docstrings(source) if _surrogate(text) is None)  # test data of libraries
        except (SyntaxError, ValueError):  # templates and test data that are not meant to parse
            continue
    return texts


@dataclass(frozen=True)
class Texts:
    """What a file holds: its documents in order, and at how many places there is null instead of a text."""

    documents: list[str]
    n_null: int


def read_texts(file: str, text_column: str = "text") -> Texts:
    """Documents of a file: JSON lines (optionally compressed), CSV, Parquet, or plain text with blank lines between.

    A line of white space alone is blank. A byte order mark at the beginning of a file is no part of its text. A CSV
    file is as RFC 4180 has it: commas, a first row of names, double quotes around what holds either or a line's end.

    Raises:
        CorpusError: unknown suffix, damaged file, missing column, a line that is not JSON, or a value that is no text;
            names the file and the place.
    """
    if not file.endswith(READABLE_SUFFIXES):
        raise CorpusError(
            f"{file}: cannot read this kind of file; expected a name that ends in {' or '.join(READABLE_SUFFIXES)}"
        )
    with _named_damage(file):
        _refuse_no_file_of_its_own(file)
        if file.endswith(".parquet"):
            found = list(_texts_of_parquet(file, text_column))
        elif file.endswith(".txt"):
            found = list(_texts_between_blank_lines(file))
        elif file.endswith(".csv"):
            found = list(_texts_of_csv(file, text_column))
        else:
            found = [_text_of_line(line, place, text_column) for place, line in _lines(file) if line.strip()]
    n_null = found.count(None)
    if n_null == len(found):
        found_instead = f"all {n_null} values of {text_column!r} are null; set corpora[].text_column" if n_null else ""
        raise CorpusError(f"{file}: {found_instead or 'holds no text; give a file with documents'}")
    if n_null:
        logging.getLogger(__name__).info("%s: %d of %d texts are null and left out", file, n_null, len(found))
    return Texts([text for text in found if text is not None], n_null)


def read_files(files: Iterable[str], text_column: str = "text") -> Texts:
    """Documents of several files, one after the other; see :func:`read_texts`."""
    read = [read_texts(file, text_column) for file in files]
    return Texts([text for each in read for text in each.documents], sum(each.n_null for each in read))


def dataset_texts(
    dataset: str, split: str, documents: int, text_column: str, subset: str | None = None, revision: str | None = None
) -> list[str | None]:
    """The first documents of a Hugging Face data set, None for null; it is streamed, so that no more of it is read.

    Args:
        dataset: ``owner/name`` on the hub, or a folder of data files.
        split: such as ``train``.
        documents: how many at most, from the split's beginning.
        text_column: the column that holds the text.
        subset: name of the configuration, where the data set has several.
        revision: branch, tag or commit of a data set on the hub.

    Raises:
        CorpusError: the package ``datasets`` is not installed; no such data set, subset, split or column; a value that
            is no text; or the hub cannot be reached.
    """
    try:
        import datasets  # an optional dependency
    except ImportError as error:
        raise CorpusError(
            "corpora[].source: 'datasets' needs the package datasets, which is not installed; install the extra of "
            "this name: pip install 'rareneurons[datasets]'"
        ) from error
    try:
        stream = datasets.load_dataset(dataset, subset, split=split, revision=revision, streaming=True)
        records = list(stream.take(documents))
    except (ValueError, OSError, datasets.exceptions.DatasetsError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise CorpusError(
            f"corpora[]: {dataset!r}, subset {subset!r}, split {split!r} cannot be read ({reason}); correct these "
            "keys, or run where the hub can be reached"
        ) from error
    if not records:
        raise CorpusError(f"corpora[].split: {split!r} of {dataset!r} holds no document; name another split")
    _refuse_other_columns(dataset, list(records[0]), text_column)
    return [
        _text_of(record[text_column], f"{dataset}, {split}, row {row}", text_column)
        for row, record in enumerate(records)
    ]


def _refuse_no_file_of_its_own(file: str) -> None:
    if Path(file).is_dir():
        raise CorpusError(f"{file}: a folder, expected one file; `source: folder` reads the files in it")
    with open(file, "rb") as handle:
        if handle.read(30).startswith(b"version https://git-lfs"):
            raise CorpusError(f"{file}: a Git LFS pointer, not the file itself; run `git lfs pull` in its folder")


@contextmanager
def _named_damage(file: str) -> Iterator[None]:
    """Turn what the readers of compressed files and of Parquet raise into one message."""
    try:
        yield
    except (EOFError, zlib.error, pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:  # the disk or its permissions, not the file
            raise
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        raise CorpusError(
            f"{file}: damaged, or not what its name says ({reason}); copy or download the file again"
        ) from error


@contextmanager
def _opened(file: str) -> Iterator[TextIO]:
    """A text file, decompressed by what its name ends in."""
    how: Any = {"encoding": "utf-8-sig", "errors": "surrogateescape"}
    if file.endswith(".zst"):
        with pa.input_stream(file, compression="zstd") as binary, io.TextIOWrapper(binary, **how) as text:
            yield text
    else:
        opener = gzip.open if file.endswith(".gz") else open
        with opener(file, "rt", **how) as text:
            yield text


def _lines(file: str) -> Iterator[tuple[str, str]]:
    """Place (file and line number) and text of each line; a line's end of any system becomes a line feed."""
    with _opened(file) as lines:
        for number, line in enumerate(lines, 1):
            place = f"{file}, line {number}"
            start = _surrogate(line)  # a byte that is not UTF-8 is read as one
            if start is not None:
                raise CorpusError(
                    f"{place}: byte 0x{ord(line[start]) - 0xDC00:02X} after {start} characters is not UTF-8; convert "
                    "the file, for instance with `iconv -f LATIN1 -t UTF-8`"
                )
            if "\0" in line:
                raise CorpusError(f"{place}: holds a zero byte, which no UTF-8 text does; convert the file to UTF-8")
            yield place, line


def _texts_between_blank_lines(file: str) -> Iterator[str]:
    lines = (line for _, line in _lines(file))
    for blank, part in groupby(lines, key=lambda line: not line.strip()):
        if not blank:
            yield "".join(part).strip()


def _texts_of_csv(file: str, text_column: str) -> Iterator[str | None]:
    rows = csv.reader((line for _, line in _lines(file)), strict=True)
    shorter = csv.field_size_limit(LONGEST_FIELD)
    try:
        columns = next(rows, [])
        _refuse_other_columns(file, columns, text_column)
        place = columns.index(text_column)
        for row in rows:
            if len(row) not in (0, len(columns)):
                raise CorpusError(
                    f"{file}, row that ends in line {rows.line_num}: found {len(row)} fields, expected {len(columns)} "
                    f"({', '.join(columns)}); put double quotes around a text that holds a comma"
                )
            if row:  # a blank line is none
                yield _text_of(row[place], f"{file}, line {rows.line_num}", text_column)
    except csv.Error as error:
        raise CorpusError(
            f"{file}, line {rows.line_num}: no CSV ({error}); write the file again, for instance with pandas' to_csv"
        ) from error
    finally:
        csv.field_size_limit(shorter)


def _refuse_other_columns(file: str, columns: Sequence[str], text_column: str) -> None:
    if columns.count(text_column) != 1:
        found = "two columns" if text_column in columns else "no column"
        raise CorpusError(f"{file}: {found} {text_column!r}; found {', '.join(columns)}. Set corpora[].text_column")


def _texts_of_parquet(file: str, text_column: str) -> Iterator[str | None]:
    with pa.parquet.ParquetFile(file) as parquet:
        _refuse_other_columns(file, parquet.schema_arrow.names, text_column)
        row = 0
        for batch in parquet.iter_batches(columns=[text_column]):
            for value in _python_values(batch.column(0), f"{file}, rows {row} to {row + len(batch) - 1}"):
                yield _text_of(value, f"{file}, row {row}", text_column)
                row += 1


def _python_values(column: pa.Array, place: str) -> list[Any]:
    try:
        return column.to_pylist()
    except UnicodeDecodeError as error:
        raise CorpusError(f"{place}: a text is not UTF-8 ({error}); write the file again as UTF-8") from error


def _text_of_line(line: str, place: str, text_column: str) -> str | None:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise CorpusError(f"{place}: expected a JSON object with key {text_column!r} ({error})") from error
    if not isinstance(record, dict):
        raise CorpusError(f"{place}: found {_kind(record)}, expected a JSON object with key {text_column!r}")
    if text_column not in record:
        keys = ", ".join(list(record)[:8]) or "no keys"
        raise CorpusError(
            f"{place}: expected a JSON object with key {text_column!r}; found {keys}. Set corpora[].text_column"
        )
    return _text_of(record[text_column], place, text_column)


def _text_of(value: Any, place: str, text_column: str) -> str | None:
    """A text, or None for null; the one place that decides what a document is."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise CorpusError(
            f"{place}: {text_column!r} holds {_kind(value)}, expected text; make one text per document of it (for "
            "chat messages: join them), or set corpora[].text_column to a column of texts"
        )
    start = _surrogate(value)
    if start is not None:
        raise CorpusError(
            f"{place}: {text_column!r} holds half of a surrogate pair (\\u{ord(value[start]):04x}) after {start} "
            "characters, which is no character; write the text again as UTF-8"
        )
    return value


def _surrogate(text: str) -> int | None:
    """Place of the first code point that is no character and that UTF-8 cannot hold."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        return error.start
    return None


def _kind(value: Any) -> str:
    """The type of a value, in words; of a list with that of its first item."""
    if isinstance(value, list) and value and not isinstance(value[0], list):
        return f"a list ({_kind(value[0])} first)"
    return KINDS.get(type(value), f"a value of type {type(value).__name__}")


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
    """Drop short or blank texts and repeats, sort, and set documents aside for evaluation.

    A document's partition depends on its own text alone (the leading bits of its SHA-256), so adding documents
    moves none across.

    Args:
        texts: documents in any order, possibly repeated.
        min_characters: shorter documents are dropped.
        evaluation_share: expected share of documents in the ``evaluation`` partition, in (0, 1]; models trained by
            the workflow never see those. Use 1 if no model is trained.

    Raises:
        CorpusError: nothing is left, or no document is left for training though some should be.

    Examples:
        >>> build_corpus(["a document", "short", "a document", "another one"], 8, 1).documents
           document         text   partition
        0         0   a document  evaluation
        1         1  another one  evaluation
    """
    kept = sorted({text for text in texts if len(text) >= min_characters and text.strip()})
    if not kept:
        raise CorpusError(
            f"corpus: no document of at least {min_characters} characters; "
            "lower corpora[].min_characters or give more text"
        )
    digests = [_digest(text) for text in kept]
    threshold = evaluation_share * 16**8
    partitions = ["evaluation" if int(d[:8], 16) < threshold else "train" for d in digests]
    if evaluation_share < 1 and "train" not in partitions:
        raise CorpusError(
            f"corpora[].evaluation_share: {evaluation_share} of {len(kept)} documents sets all of them aside for "
            "evaluation; lower it, give more text, or use 1 if no model is trained"
        )
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
    """At most ``most`` documents of the ``evaluation`` partition, drawn at random, in order of their id.

    Raises:
        CorpusError: fewer than two documents were set aside for evaluation.
    """
    available = documents[documents["partition"] == "evaluation"]
    if len(available) < LEAST_DOCUMENTS:
        raise CorpusError(
            f"corpora[].evaluation_share: it sets {len(available)} of {len(documents)} documents aside for evaluation, "
            f"at least {LEAST_DOCUMENTS} are needed (a discovery and a held-out one); raise it or give more text"
        )
    if len(available) < most:
        logging.getLogger(__name__).info(
            "rows.documents: asked for %d, the corpus has %d for evaluation", most, len(available)
        )
    chosen = np.sort(rng.permutation(len(available))[:most])
    return available.iloc[chosen]
