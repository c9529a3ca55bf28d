"""The exported data set: the run's tables, and a card that a reader and the hub understand."""

from datetime import UTC, datetime
from importlib.util import find_spec

import pandas as pd
import pytest
from exported_run import CHECKPOINT, MODEL, write_run
from huggingface_hub import DatasetCard

from rareneurons.command_line.export import read_model
from rareneurons.errors import RunError
from rareneurons.export.columns import MEANINGS
from rareneurons.export.contents import CHECKPOINT_TABLES, Publication
from rareneurons.export.dataset import card, write_dataset
from rareneurons.known_types.declared import UNITS
from rareneurons.tables import CLAIM_COLUMNS, INFLUENCE_COLUMNS

BY = Publication("A group", "cc-by-4.0", "rareneurons 9.9 c0ffee", datetime(2026, 11, 27, tzinfo=UTC))


@pytest.fixture
def found(tmp_path):
    return read_model(write_run(tmp_path, [1, 4]), MODEL)


def test_tables_come_back_as_the_run_has_them(found, tmp_path):
    *files, page = write_dataset(found, BY, tmp_path / "set")
    assert page.name == "README.md"
    assert {file.stem for file in files} == {*CHECKPOINT_TABLES, "claims"}
    for name in CHECKPOINT_TABLES:
        expected = pd.read_parquet(tmp_path / "results/tiny" / MODEL / CHECKPOINT / f"{name}.parquet")
        pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / f"set/data/{name}.parquet"), expected)
    assert set(pd.read_parquet(tmp_path / "set/data/claims.parquet")["model"]) == {MODEL}


def test_the_card_says_licence_commit_columns_verdicts_and_origin(found, tmp_path):
    write_dataset(found, BY, tmp_path)
    page = DatasetCard.load(tmp_path / "README.md")
    assert page.data.license == "cc-by-4.0"
    configs = {entry["config_name"]: entry["data_files"] for entry in page.data.to_dict()["configs"]}
    assert all((tmp_path / file).is_file() for file in configs.values())
    assert [entry["config_name"] for entry in page.data.to_dict()["configs"] if entry.get("default")] == [
        "top_examples"
    ]
    assert "exported on 2026-11-27 by A group with rareneurons 9.9 c0ffee" in page.text
    assert "| C8 | undecided | No. |" in page.text
    assert "| license | mit |" in page.text
    assert "| commit | no |" not in page.text
    for table in found.tables.values():
        assert all(f"| `{column}` |" in page.text for column in table.columns)


@pytest.mark.skipif(find_spec("datasets") is None, reason="the extra `datasets` is not installed")
def test_datasets_opens_every_table(found, tmp_path):
    import datasets

    write_dataset(found, BY, tmp_path / "set")
    names = datasets.get_dataset_config_names(str(tmp_path / "set"))
    assert set(names) == set(found.tables)
    for name in names:
        opened = datasets.load_dataset(str(tmp_path / "set"), name, split="train", cache_dir=str(tmp_path / "cache"))
        assert opened.column_names == list(found.tables[name].columns)
        assert len(opened) == len(found.tables[name])
    assert datasets.load_dataset(str(tmp_path / "set"), cache_dir=str(tmp_path / "cache"))["train"][0]["neuron"] == 1


def test_every_column_of_the_tables_has_a_meaning(found):
    columns = {column for table in found.tables.values() for column in table.columns}
    assert columns | set(INFLUENCE_COLUMNS) | set(CLAIM_COLUMNS) | set(UNITS) <= set(MEANINGS)


def test_a_column_without_a_meaning_is_refused(found):
    found.tables["groups"]["new"] = 1
    with pytest.raises(RunError, match="table groups: found the column 'new'"):
        card(found, BY)
