"""A file that another one replaces has another state, whatever its date."""

import os

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
