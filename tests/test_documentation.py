"""What the documentation says is so: generated pages are current, what it names exists, its commands can be given."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

PROJECT = Path(__file__).resolve().parent.parent
PAGES = sorted([*PROJECT.glob("*.md"), *PROJECT.glob("docs/*.md"), PROJECT / "config/README.md"])


def output_of(*command: str) -> str:
    return subprocess.run([sys.executable, *command], cwd=PROJECT, capture_output=True, text=True, check=True).stdout


def test_configuration_reference_is_current_and_explains_every_key():
    page = (PROJECT / "docs/configuration.md").read_text()
    assert page == output_of("docs/configuration.py"), "python docs/configuration.py > docs/configuration.md"
    assert not [line for line in page.splitlines() if line.endswith("|  |")]
    schema = yaml.safe_load((PROJECT / "workflow/schemas/config.schema.yaml").read_text())
    for section, shape in schema["properties"].items():
        for key in shape.get("properties", {}):
            assert f"`{section}.{key}`" in page


def test_costs_are_what_the_command_prints():
    table = output_of("benchmarks/costs.py", "--rate", "34e12").strip()
    assert table in (PROJECT / "docs/costs.md").read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_named_files_are_there(page):
    text = page.read_text()
    links = [target.partition("#")[0] for target in re.findall(r"\]\((?!https?:)([^)]+)\)", text)]
    named = [
        PROJECT / name for name in re.findall(r"`((?:src|scripts|workflow|tests|docs|benchmarks)/[\w/.]+\.\w+)`", text)
    ]
    guided = {PROJECT / name for name in re.findall(r"^`([^`\s]+)`$", text, flags=re.M)}  # files that a guide writes
    missing = [file for file in [page.parent / link for link in links if link] + named if not file.exists()]
    assert not set(missing) - guided


def test_every_defect_names_tests_that_there_are():
    page = (PROJECT / "docs/authors_code.md").read_text()
    rows = re.findall(r"^\| (\d+) \|(.*)$", page, flags=re.M)
    assert [int(number) for number, _ in rows] == list(range(1, 30))
    for number, row in rows:
        named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", row)
        assert named or "**Left out" in row, f"defect {number} names no test"
        for file, test in named:
            functions = {
                node.name
                for node in ast.walk(ast.parse((PROJECT / file).read_text()))
                if isinstance(node, ast.FunctionDef)
            }
            assert test in functions, f"{file} has no {test}"


def test_commands_name_targets_and_files_that_there_are():
    makefile = (PROJECT / "Makefile").read_text()
    for page in PAGES:
        text = page.read_text()
        for target in re.findall(r"^(?:`|)make ([a-z0-9-]+)", text, flags=re.M) + re.findall(
            r"`make ([a-z0-9-]+)`", text
        ):
            assert re.search(rf"^{target}:", makefile, flags=re.M), f"{page.name}: make {target}"
        for file in re.findall(r"python ((?:docs|benchmarks|scripts)/\w+\.py)", text):
            assert (PROJECT / file).exists(), f"{page.name}: {file}"


def strings_of(node: ast.AST) -> str:
    """All text in a Python file, what is filled in left out."""
    return "\n".join(
        "".join(part.value if isinstance(part, ast.Constant) else " … " for part in each.values)
        if isinstance(each, ast.JoinedStr)
        else str(each.value)
        for each in ast.walk(node)
        if isinstance(each, ast.JoinedStr | ast.Constant)
    )


def test_messages_in_the_questions_are_those_of_the_code():
    said = "\n".join(strings_of(ast.parse(file.read_text())) for file in (PROJECT / "src").rglob("*.py"))
    messages = re.findall(r"^\*\*`([^`]+ [^`]+)`\*\*", (PROJECT / "docs/faq.md").read_text(), flags=re.M)
    assert len(messages) >= 6
    for message in messages:
        for part in message.split("…"):
            assert part.strip(" ]") in said, f"{message!r}: {part!r}"
