"""The schema says in words what its regular expressions mean."""

import re
from collections.abc import Iterator

import pytest
import yaml
from conftest import PROJECT
from snakemake.utils import update_config

from rareneurons.conventions import READABLE_SUFFIXES
from rareneurons.errors import ConfigurationError
from rareneurons.planning import configuration

SCHEMA = yaml.safe_load((PROJECT / "workflow/schemas/config.schema.yaml").read_text())


def shapes(value) -> Iterator[dict]:
    if isinstance(value, dict):
        yield value
        for part in value.values():
            yield from shapes(part)
    elif isinstance(value, list):
        for part in value:
            yield from shapes(part)


def test_defaults_are_config_yaml():
    """So that an overlay alone, as a workflow that imports this one has it, means what it means over config.yaml."""
    assert configuration.with_defaults({}, SCHEMA) == yaml.safe_load((PROJECT / "config.yaml").read_text())


@pytest.mark.parametrize("overlay", ["demo", "smoke"])
def test_overlay_alone_is_the_configuration_that_it_is_over_config_yaml(overlay):
    alone = yaml.safe_load((PROJECT / f"config/{overlay}.yaml").read_text())
    config = yaml.safe_load((PROJECT / "config.yaml").read_text())
    update_config(config, alone)
    assert configuration.validated(alone, SCHEMA) == configuration.validated(config, SCHEMA)


def test_defaults_fill_mappings_key_by_key_and_nothing_else():
    filled = configuration.with_defaults({"rows": {"elbow": {"mass": 0.5}, "conditions": []}, "keep": None}, SCHEMA)
    assert filled["rows"]["elbow"] == {"rule": "kneedle", "mass": 0.5, "window": 2000}
    assert filled["rows"]["conditions"] == []
    assert filled["keep"] is None, "refused by its shape"
    filled["models"].clear()
    assert configuration.with_defaults({}, SCHEMA)["models"], "the schema itself stays as it is"


def undescribed(shape: dict, key: str = "") -> list[str]:
    """Keys of a mapping, and of mappings inside it, that the schema does not describe."""
    found = []
    for name, part in shape.get("properties", {}).items():
        where = f"{key}{name}"
        described = part.get("description") or SCHEMA["$defs"].get(part.get("$ref", "").rpartition("/")[2], {}).get(
            "description"
        )
        found += [] if described else [where]
        found += undescribed(part, f"{where}.")
    return found


def test_every_key_has_a_description():
    assert undescribed({"properties": {"a": {"properties": {"b": {}}}}}) == ["a", "a.b"]
    assert undescribed(SCHEMA) == []


def with_patterns() -> list[dict]:
    return [shape for shape in shapes(SCHEMA) if isinstance(shape.get("pattern"), str)]


def test_every_pattern_has_words():
    assert len(with_patterns()) >= 12
    assert [shape for shape in with_patterns() if not shape.get("expected")] == []


@pytest.mark.parametrize("source", ["corpus_file", "corpus_hub"])
def test_formats_of_a_corpus_are_those_that_are_read(source):
    shape = SCHEMA["$defs"][source]["properties"]["file"]
    listed = re.findall(r"\.[a-z]+(?:\.[a-z]+)?", shape["expected"].partition("ends in ")[2])
    assert set(listed) == set(READABLE_SUFFIXES)
    for suffix in READABLE_SUFFIXES:
        assert re.search(shape["pattern"], f"folder/texts{suffix}")


FILE = {"name": "mine", "source": "file", "text_column": "text", "min_characters": 5, "evaluation_share": 1}
HUB = {"name": "mine", "source": "hub", "repository": "a/b", "revision": "main"}


@pytest.mark.parametrize("suffix", [".csv.zst", ".tsv", ".json", ".JSONL", ".txt.gz", ".arrow", ""])
@pytest.mark.parametrize("source", ["file", "hub"])
def test_another_format_is_refused_in_words(suffix, source):
    config = yaml.safe_load((PROJECT / "config.yaml").read_text())
    config["corpora"] = [FILE | {"file": f"texts{suffix}"} | (HUB if source == "hub" else {})]
    words = r"that ends in \.jsonl, \.jsonl\.gz, \.jsonl\.zst, \.json\.gz, \.csv, \.txt or \.parquet"
    found = re.escape(repr(f"texts{suffix}"))
    with pytest.raises(
        ConfigurationError, match=rf"^corpora\[0\]\.file: {found} does not match; expected a path .*{words}"
    ) as refused:
        configuration.validate_shape(config, SCHEMA)
    assert not re.search(r"[$^|(]", str(refused.value)), "a regular expression"


def test_counts_of_another_format_are_refused_in_words():
    config = yaml.safe_load((PROJECT / "config.yaml").read_text())
    config["tokenizers"][0]["counts"] = {"source": "file", "file": "counts.csv"}
    with pytest.raises(
        ConfigurationError, match=r"counts\.file: 'counts\.csv' does not match; .* ends in \.npy, as nu"
    ):
        configuration.validate_shape(config, SCHEMA)
