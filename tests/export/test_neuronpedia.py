"""What is written for Neuronpedia: lines of its columns that refer to one another, and values that are the tables'."""

import gzip
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from exported_run import CHECKPOINT, MODEL, N_NEURONS, WORDS, write_run
from pydantic import ValidationError

from rareneurons.command_line.export import read_model
from rareneurons.export import neuronpedia
from rareneurons.export.contents import Publication
from rareneurons.export.neuronpedia_lines import Activation, Explanation, Feature, Model, Release, Source, SourceSet

BY = Publication("A group", "mit", "rareneurons 9.9", datetime(2026, 11, 27, 12, tzinfo=UTC))
FILES = {"release": Release, "model": Model, "sourceset": SourceSet, "source": Source}
BATCHES = {"features": Feature, "activations": Activation, "explanations": Explanation}


@pytest.fixture
def found(tmp_path):
    return read_model(write_run(tmp_path, [1, 4, 5]), MODEL)


@pytest.fixture
def folder(found, tmp_path, monkeypatch):
    monkeypatch.setattr(neuronpedia, "BATCH", 2)
    return neuronpedia.write_neuronpedia(found, BY, tmp_path / "out")


def lines(folder, name):
    """Every line of a file, or of all batches of a folder, checked on the way."""
    if name in FILES:
        kept = [FILES[name].model_validate_json((folder / f"{name}.jsonl").read_text())]
    else:
        batches = [gzip.decompress(file.read_bytes()).decode() for file in sorted((folder / name).iterdir())]
        kept = [BATCHES[name].model_validate_json(line) for batch in batches for line in batch.splitlines()]
    return [json.loads(line.as_json()) for line in kept]


def test_layout_and_what_refers_to_what(folder):
    assert folder.parts[-2:] == (MODEL, "1-rare-neurons")
    assert sorted(file.name for file in folder.glob("*/*")) == sorted(3 * ["batch-0.jsonl.gz", "batch-1.jsonl.gz"])
    (release,), (model,), (source_set,), (source,) = (lines(folder, name) for name in FILES)
    assert (model["layers"], model["neuronsPerLayer"]) == (2, N_NEURONS)
    assert source_set["releaseName"] == release["name"]
    assert (source["id"], source["setName"], source["modelId"]) == (folder.name, source_set["name"], model["id"])
    features = lines(folder, "features")
    assert [line["index"] for line in features] == ["1", "4", "5"]
    known = {(line["modelId"], line["layer"], line["index"]) for line in features}
    assert known == {(model["id"], source["id"], index) for index in ("1", "4", "5")}
    assert {line["sourceSetName"] for line in features} == {source_set["name"]}
    for name in ("activations", "explanations"):
        assert {(line["modelId"], line["layer"], line["index"]) for line in lines(folder, name)} == known


def test_every_line_of_a_file_has_the_same_columns(folder):
    """The importer reads the columns of a file's first line alone."""
    for name in BATCHES:
        assert len({tuple(line) for line in lines(folder, name)}) == 1


def test_activations_are_those_of_the_table_once_per_context(folder, found):
    written = lines(folder, "activations")
    examples = found.tables["top_examples"]
    contexts = examples.drop_duplicates(["neuron", "block", "position"])
    assert len(written) == len(contexts) < len(examples)
    assert len({line["id"] for line in written}) == len(written)
    for line, row in zip(written, contexts.itertuples(), strict=True):
        assert line["values"] == pytest.approx(list(row.window_activation))
        assert line["tokens"][row.window_row] == row.window_text[row.window_row].replace("␣", " ")
        assert line["maxValue"] == line["values"][line["maxValueTokenIndex"]] == max(line["values"])
        assert line["qualifyingTokenIndex"] == row.window_row
    assert " the" in written[-1]["tokens"]
    assert {token for line in written for token in line["tokens"]}.isdisjoint({"↵", "␣the", WORDS[4][2]})
    by_neuron = {line["index"]: line["maxActApprox"] for line in lines(folder, "features")}
    assert by_neuron["4"] == max(line["maxValue"] for line in written if line["index"] == "4")


def test_explanations_are_computed_from_the_tables(folder):
    said = {line["index"]: line["description"] for line in lines(folder, "explanations")}
    assert "loss of rare tokens by +0.04000 nats on average (standard error 0.00100, 40 rows)" in said["4"]
    assert said["4"].endswith("It helps most with: ' graph', ' node'")  # the third one's mean is negative


def test_writing_twice_gives_the_same_ids(found, tmp_path, folder):
    again = neuronpedia.write_neuronpedia(found, BY, tmp_path / "again")
    assert [line["id"] for line in lines(again, "activations")] == [line["id"] for line in lines(folder, "activations")]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"values": [0.5]}, "found 2 tokens and 1 values"),
        ({"max_value": 2.0}, "are not those of the values"),
        ({"values": [0.5, float("nan")]}, "finite number"),
        ({"qualifying_token_index": 2}, "beyond the last token"),
        ({"layer": "rare-neurons"}, "String should match pattern"),
        ({"created_at": datetime(2026, 1, 1)}, "timezone"),  # noqa: DTZ001
        ({"unknown": 1}, "Extra inputs are not permitted"),
    ],
)
def test_a_line_that_neuronpedia_would_not_take_is_refused(changes, said):
    line = {
        "id": "c1",
        "model_id": MODEL,
        "layer": "1-rare-neurons",
        "index": "4",
        "tokens": ["a", "b"],
        "values": [0.5, 1.0],
        "max_value": 1.0,
        "max_value_token_index": 1,
        "min_value": 0.5,
        "qualifying_token_index": 0,
        "data_index": CHECKPOINT,
        "creator_id": "c2",
        "created_at": BY.made,
    }
    assert Activation(**line)
    with pytest.raises(ValidationError, match=said):
        Activation(**(line | changes))


TABLES = {
    "SourceRelease": Release,
    "Model": Model,
    "SourceSet": SourceSet,
    "Source": Source,
    "Neuron": Feature,
    "Activation": Activation,
    "Explanation": Explanation,
}
TYPES = {"String": "string", "Visibility": "string", "DateTime": "string", "Int": "integer", "Float": "number"}


@pytest.mark.parametrize("table", TABLES)
def test_lines_have_the_published_columns(table):
    """neuronpedia_columns.json lists each table's columns in Neuronpedia's schema.prisma at the commit that
    neuronpedia_lines names; ``optional`` ones may be empty or have a default.
    """
    published = json.loads(Path(__file__).with_name("neuronpedia_columns.json").read_text())[table]
    properties = TABLES[table].model_json_schema(by_alias=True)["properties"]
    needed = {column for column, said in published.items() if "optional" not in said}
    assert needed <= set(properties) <= set(published)
    for column, mine in properties.items():
        kind = published[column].removesuffix(" optional").removesuffix("?")
        of_item = mine["items"] if kind.endswith("[]") else mine
        assert (mine["type"] == "array") == kind.endswith("[]")
        assert of_item["type"] == TYPES[kind.removesuffix("[]")], column


def test_names_become_identifiers():
    assert neuronpedia.identifier("HuggingFaceTB/SmolLM2.1 135M!") == "huggingfacetb-smollm2-1-135m"
