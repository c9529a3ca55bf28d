"""Rules of the code that a reader would otherwise have to remember."""

import ast
import re

import pytest
from conftest import PROJECT

LONGEST_FUNCTION = 80  # lines, from the def to the end
MOST_IGNORED_TYPES = 12
FILES = sorted(file for folder in ("src", "scripts") for file in (PROJECT / folder).rglob("*.py"))


def long_functions(source):
    """Name and length in lines of each function that is longer than allowed."""
    functions = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)]
    lengths = [(function.name, function.end_lineno - function.lineno + 1) for function in functions]
    return [(name, length) for name, length in lengths if length > LONGEST_FUNCTION]


@pytest.mark.parametrize(("lines", "found"), [(79, []), (80, [("long", 81)])])
def test_long_functions_are_found(lines, found):
    assert long_functions("class Some:\n    def long(self):\n" + "        pass\n" * lines) == found


def test_functions_are_short():
    found = {str(file.relative_to(PROJECT)): long_functions(file.read_text()) for file in FILES}
    assert not {file: functions for file, functions in found.items() if functions}


def test_types_are_rarely_ignored():
    places = [
        f"{file.relative_to(PROJECT)}:{number}"
        for file in FILES
        for number, line in enumerate(file.read_text().splitlines(), 1)
        if re.search(r"#\s*type:\s*ignore", line)
    ]
    assert len(places) <= MOST_IGNORED_TYPES, "\n".join(places)
