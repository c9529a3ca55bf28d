"""The examples in docstrings, which the site shows, give what they say."""

import doctest
import importlib

import pytest
from conftest import PROJECT

SOURCE = PROJECT / "src"
# Those of inspection take a model: tests/inspection/test_inspection.py runs them.
WITH_EXAMPLES = sorted(
    file for file in SOURCE.rglob("*.py") if ">>> " in file.read_text() and file.parent.name != "inspection"
)


def test_there_are_examples():
    assert len(WITH_EXAMPLES) >= 5


@pytest.mark.parametrize("file", WITH_EXAMPLES, ids=lambda file: file.stem)
def test_examples_give_what_they_say(file):
    module = importlib.import_module(".".join(file.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__"))
    found = doctest.testmod(module)
    assert found.attempted
    assert not found.failed
