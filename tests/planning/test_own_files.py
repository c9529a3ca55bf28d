"""A file that another one replaces has another state, whatever its date."""

import os

import pytest

from rareneurons.errors import ConfigurationError
from rareneurons.planning import own_files


def test_state_follows_the_content_and_not_the_date(tmp_path):
    file = tmp_path / "texts.jsonl"
    file.write_text("one")
    before = own_files.states_of([str(file)])
    os.utime(file, (1, 1))
    assert own_files.states_of([str(file)]) == before
    file.write_text("two")
    os.utime(file, (0, 0))
    assert own_files.states_of([str(file)]) != before


def test_state_of_a_large_file_is_size_and_date(tmp_path, monkeypatch):
    monkeypatch.setattr(own_files, "LARGE_FILE", 2)
    file = tmp_path / "texts.jsonl"
    file.write_text("three")
    os.utime(file, ns=(7, 7))
    assert own_files.states_of([str(file)]) == {str(file): "5 7"}


def test_files_of_a_corpus_are_those_that_can_be_read_in_the_order_of_their_names(tmp_path):
    (tmp_path / "more").mkdir()
    (tmp_path / ".git").mkdir()
    for name in ("b.txt", "a.jsonl.zst", "more/c.csv", "notes.md", ".hidden.txt", ".git/d.txt"):
        (tmp_path / name).touch()
    folder = {"source": "folder", "folder": str(tmp_path)}
    expected = [str(tmp_path / name) for name in ("a.jsonl.zst", "b.txt", "more/c.csv")]
    assert own_files.of_corpus(folder) == expected
    whole = own_files.of_corpus({"source": "datasets", "folder": str(tmp_path)})
    assert whole == [*expected, str(tmp_path / "notes.md")]
    assert own_files.of_corpus({"source": "datasets", "repository": "a/b"}) == []
    assert own_files.of_corpus({"source": "file", "file": "texts.txt"}) == ["texts.txt"]
    assert own_files.of_corpus({"source": "docstrings"}) == []


def test_a_folder_without_a_file_to_read_is_refused(tmp_path):
    (tmp_path / "notes.md").touch()
    config = {"corpora": [{"source": "docstrings"}, {"source": "folder", "folder": str(tmp_path)}]}
    with pytest.raises(
        ConfigurationError, match=r"^corpora\[1\]\.folder: .* documents are read from; found notes\.md, exp"
    ):
        own_files.refuse_empty_folders(config)
    (tmp_path / "a.txt").touch()
    own_files.refuse_empty_folders(config)
