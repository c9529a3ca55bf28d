"""Whatever stands in a configuration, it passes or is refused by the key; and what passes can be planned."""

import ast
import copy
import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from conftest import PROJECT
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from snakemake.exceptions import WorkflowError
from snakemake.utils import update_config

from rareneurons import configuration
from rareneurons.errors import ConfigurationError
from rareneurons.models import folders, local_models

pytestmark = pytest.mark.faults
RULES = PROJECT / "workflow/rules/common.smk"
LISTED_KEY = re.compile(r"^[A-Za-z_]\w*|\.[^.\[\]: ]+|\[\d+\]")


SCHEMA = yaml.safe_load((PROJECT / "workflow/schemas/config.schema.yaml").read_text())


def function_of_the_rules(name: str) -> Callable:
    """A function of the rule files that every run begins with, as it stands there; the schema is read once."""
    definitions = [node for node in ast.parse(RULES.read_text()).body if isinstance(node, ast.FunctionDef)]
    names = {
        "configuration": configuration,
        "folders": folders,
        "local_models": local_models,
        "ConfigurationError": ConfigurationError,
        "WorkflowError": WorkflowError,
        "workflow": SimpleNamespace(basedir=PROJECT),
        "cache": lambda function: function,
        "yaml": SimpleNamespace(safe_load=lambda _text: SCHEMA),
        **{"os": os, "Path": Path},
    }
    exec(compile(ast.Module(definitions, []), RULES, "exec"), names)
    return names[name]


validated = function_of_the_rules("validated")


def readme_overlay() -> dict:
    text = (PROJECT / "README.md").read_text()
    overlay = re.search(r"```yaml\n(# mine\.yaml\n.*?)```", text, flags=re.S)[1]
    return yaml.safe_load(overlay.replace("/path/to/model", "model"))


def shipped(overlay: dict | None = None) -> dict:
    config = yaml.safe_load((PROJECT / "config.yaml").read_text())
    update_config(config, overlay or {})
    return json.loads(json.dumps(config))  # anchors share their entries, and a mutation is to change one place


BASES = [
    shipped(),
    *(shipped(yaml.safe_load((PROJECT / f"config/{name}.yaml").read_text())) for name in ("demo", "smoke")),
    shipped(readme_overlay()),
]


def places(value: object, path: tuple = ()) -> Iterator[tuple]:
    """Paths of everything in a configuration."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield (*path, key)
        yield from places(item, (*path, key))


def at(config: object, path: tuple) -> object:
    for key in path:
        config = config[key]
    return config


PATHS = [sorted(places(base), key=str) for base in BASES]
BOUNDARIES = [0, -1, 1, 2, 0.5, -0.0, 1.0, 300.0, 1e-320, 1e308, float("nan"), float("inf"), 2**31, 2**63, 10**30]
WORDS = [
    "../../etc/passwd",
    "/etc/passwd",
    "a/b",
    ".",
    "..",
    "",
    " ",
    "~",
    "$(touch x)",
    "`x`",
    "'; x",
    '"',
    "a\nb",
    "a\x00b",
]
NAMES = [
    "{model}",
    "{}",
    "a" * 65,
    "x" * 5000,
    "é",
    "\u202e",
    "all",
    "main",
    "elbow",
    "tables",
    "claims.md",
    "CON",
    "-x",
    "\ud800",
]
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from(BOUNDARIES),
    st.integers(),
    st.floats(),
    st.sampled_from([*WORDS, *NAMES]),
    st.text(max_size=20),
)
keys = st.one_of(st.sampled_from([*WORDS, *NAMES]), st.integers(), st.booleans(), st.none(), st.text(max_size=8))
anything = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(keys, inner, max_size=3)),
    max_leaves=6,
)


@st.composite
def mutated(draw) -> dict:
    """A shipped configuration with one or two places replaced, deleted, doubled or exchanged, or with a key added."""
    which = draw(st.integers(0, len(BASES) - 1))
    config = copy.deepcopy(BASES[which])
    for _ in range(draw(st.integers(1, 2))):
        path = draw(st.sampled_from(PATHS[which]))
        try:
            parent = at(config, path[:-1])
            change(draw, config, parent, path[-1], which)
        except (KeyError, IndexError, TypeError, AttributeError):  # an earlier change took this place away
            continue
    return config


def change(draw, config: dict, parent: dict | list, key: str | int, which: int) -> None:
    how = draw(st.sampled_from(["nudge", "nudge", "replace", "delete", "add", "double", "exchange"]))
    if how == "nudge" and isinstance(parent[key], int | float):
        parent[key] = draw(st.sampled_from([parent[key] + 1, parent[key] - 1, 2 * parent[key], parent[key] / 2, 0, 1]))
    elif how in ("nudge", "replace"):
        parent[key] = draw(anything)
    elif how == "delete":
        del parent[key]
    elif how == "exchange":  # a value of another place: the right type more often
        parent[key] = copy.deepcopy(at(config, draw(st.sampled_from(PATHS[which]))))
    elif isinstance(parent, list):
        parent.insert(key, draw(anything) if how == "add" else copy.deepcopy(parent[key]))
    else:
        parent[draw(keys)] = draw(anything) if how == "add" else copy.deepcopy(parent[key])


@pytest.fixture(scope="module", autouse=True)
def _folder_with_the_readme_s_files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mine")
    (folder / "model").mkdir()
    (folder / "model/config.json").write_text("{}")
    (folder / "texts.jsonl").write_text("")
    before = Path.cwd()
    os.chdir(folder)
    yield
    os.chdir(before)


def assert_names_a_key(message: str, config: dict) -> None:
    """The message begins with a path whose parent is in the configuration as it was given."""
    assert message.startswith("Configuration: ")
    text = message.removeprefix("Configuration: ")
    if text.startswith("configuration: "):
        return  # a key of the top level is missing or unknown; the message names it
    place, found = config, LISTED_KEY.match(text)
    assert found, message
    path, end = [], 0
    while found := LISTED_KEY.match(text, end):
        path.append(int(found[0][1:-1]) if found[0][0] == "[" else found[0].lstrip("."))
        end = found.end()
    for key in path[:-1]:
        assert key in place if isinstance(place, dict) else 0 <= key < len(place), message
        place = place[key]


@settings(
    max_examples=600,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)
@given(mutated())
def test_every_configuration_passes_or_is_refused_by_its_key(config):
    given_config = copy.deepcopy(config)
    try:
        validated(config)
    except WorkflowError as refusal:
        event("refused")
        message = str(refusal)
        assert len(message) < 2000
        assert_names_a_key(message, given_config)
    else:
        event("passed")


def test_the_bases_pass():
    for base in BASES:
        validated(copy.deepcopy(base))
