"""The user's own files: which files are in a folder, and what they hold, as a parameter of the jobs that read them.

Snakemake compares dates, so it does not notice if an older copy replaces a file.
"""

import hashlib
import os
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from rareneurons.conventions import READABLE_SUFFIXES
from rareneurons.errors import ConfigurationError

SHOWN = 8  # files in a message
LARGE_FILE = 64 * 2**20  # bytes


def files_below(folder: str) -> list[str]:
    """Paths of all files in a folder and its sub-folders, in the order of their names, without hidden ones."""
    place = Path(folder)
    files = (file for file in place.rglob("*") if file.is_file())
    return sorted(str(file) for file in files if not any(part[0] == "." for part in file.relative_to(place).parts))


def of_corpus(corpus: Mapping[str, Any]) -> list[str]:
    """The user's own files that a corpus is read from; none where its documents come from elsewhere.

    Args:
        corpus: its entry in the configuration.
    """
    if corpus["source"] == "file":
        return [corpus["file"]]
    if corpus["source"] == "folder":
        return [file for file in files_below(corpus["folder"]) if file.endswith(READABLE_SUFFIXES)]
    if corpus["source"] == "datasets" and "folder" in corpus:
        return files_below(corpus["folder"])
    return []


def refuse_empty_folders(config: Mapping[str, Any]) -> None:
    """Raise where a corpus's folder holds no file that can be read.

    Args:
        config: passed ``configuration.validate_sense``.

    Raises:
        ConfigurationError: names the folder and what it holds.
    """
    for number, corpus in enumerate(config["corpora"]):
        if "folder" in corpus and not of_corpus(corpus):
            shown = ", ".join(Path(file).name for file in files_below(corpus["folder"])[:SHOWN]) or "no files"
            raise ConfigurationError(
                f"corpora[{number}].folder: {corpus['folder']!r} holds no file that documents are read from; found "
                f"{shown}, expected names that end in {', '.join(READABLE_SUFFIXES)}"
            )


def states_of(files: Iterable[str]) -> dict[str, str]:
    """File -> digest of what it holds; for a large file its size in bytes and its date (ns)."""
    return {file: _state_of(file, os.stat(file).st_mtime_ns) for file in files}


@cache
def _state_of(file: str, changed: int) -> str:
    size = os.path.getsize(file)
    if size > LARGE_FILE:
        return f"{size} {changed}"
    return hashlib.sha256(Path(file).read_bytes()).hexdigest()[:16]
