"""Rules of the code that a reader would otherwise have to remember."""

import ast
import re
from collections import Counter

import pytest
from conftest import PROJECT

LONGEST_FUNCTION = 80  # lines, from the def to the end
MOST_IGNORED_TYPES = 12
# What takes a text apart, as a method of a string or of a column of strings.
SURGERY = {
    "split",
    "rsplit",
    "partition",
    "rpartition",
    "removeprefix",
    "removesuffix",
    "replace",
    "extract",
    "extractall",
}
CONTRACT_WORDS = re.compile(r"(?<![a-z])(measure|statistic|quantity|quantitie|reason|sentence)s?(?![a-z])")
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


def is_contract_word(name):
    return bool(CONTRACT_WORDS.search(name.lower()))


def names_contract(node, loops=frozenset()):
    """Whether an expression is, or is made from, a value that the contract of measures and verdicts names.

    A column counts by its name, ``table["measure"]``; the table that it comes from and how rows were chosen do not.
    ``loops`` are variables that run over such values.
    """
    match node:
        case ast.Constant(value=value):
            return is_contract_word(str(value))
        case ast.Name(id=name):
            return name in loops or is_contract_word(name)
        case ast.Attribute(value=value, attr=name):
            return is_contract_word(name) or names_contract(value, loops)
        case ast.Subscript(value=value, slice=ast.Constant() | ast.Tuple() as key):
            return names_contract(key, loops) or names_contract(value, loops)
        case ast.Subscript(value=value):
            return names_contract(value, loops)
    return any(names_contract(child, loops) for child in ast.iter_child_nodes(node))


def loop_variables(tree):
    """Each loop or comprehension with the variables in it that run over values named by the contract."""
    for node in ast.walk(tree):
        runs = [node] if isinstance(node, ast.For) else getattr(node, "generators", [])
        names = {
            target.id
            for run in runs
            if names_contract(run.iter)
            for target in ast.walk(run.target)
            if isinstance(target, ast.Name)
        }
        yield node, names


def surgery(source):
    """Lines at which a measure's, statistic's or quantity's name, a reason or a sentence is taken apart."""
    tree = ast.parse(source)
    return sorted(
        {
            call.lineno
            for node, loops in [(tree, set()), *((node, names) for node, names in loop_variables(tree) if names)]
            for call in ast.walk(node)
            if isinstance(call, ast.Call)
            and isinstance(call.func, ast.Attribute)
            and call.func.attr in SURGERY
            and names_contract(call.func.value, loops)
        }
    )


@pytest.mark.parametrize(
    "line",
    [
        'table["measure"].str.split(".")',
        'last.loc[last["step"] > 0, "measure"].astype(str).str.extract(PATTERN)',
        'measure.rsplit(".", 1)',
        'measures[0].split(".")',
        'estimate.measure.replace(".random", "")',
        'column.measure.removesuffix(".matched")',
        'str(row["statistic"]).partition(".")',
        'f"{quantity}.x".removesuffix(".x")',
        '[name.split(".")[1] for name in measures if name]',
        'for name in table["measure"].unique():\n    name.removeprefix("hill.")',
        'reason.replace(" rows", " dimensions")',
        'f(sentence.split(" ", 1))',
    ],
)
def test_surgery_is_found(line):
    assert surgery(f"def f():\n    {line.replace(chr(10), chr(10) + '    ')}") in ([2], [3])


@pytest.mark.parametrize(
    "line",
    [
        'group.replace("_", " ")',
        'table[table["measure"] == measure]["group"].str.split("/")',
        "replace(estimate, measure=name)",
        'measured_groups.split("/")',
        '[name.split("/") for name in sums if name not in measures]',
        '", ".join(measures)',
    ],
)
def test_other_texts_may_be_taken_apart(line):
    assert surgery(line) == []


def test_names_of_the_contract_are_not_taken_apart():
    """What a name would say has a column of its own: part, quantity, against, rule, evidence."""
    found = [
        f"{file.relative_to(PROJECT)}:{number}: {file.read_text().splitlines()[number - 1].strip()}"
        for file in FILES
        for number in surgery(file.read_text())
    ]
    assert not found, "\n".join(found)


def test_no_two_test_files_share_a_name():
    """pytest imports each by its name alone."""
    names = Counter(file.name for file in (PROJECT / "tests").rglob("*.py") if file.name != "__init__.py")
    assert [name for name, times in names.items() if times > 1] == []
