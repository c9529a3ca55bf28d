"""The order of the library's modules is checked: an import against it fails."""

import os
import shutil
import subprocess
import sys
import tomllib

import pytest
from conftest import PROJECT

CONTRACTS = tomllib.loads((PROJECT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
LINT = "from importlinter.cli import lint_imports_command as lint; lint()"


@pytest.fixture
def copy(tmp_path):
    """The library and its contracts, to be changed by a test."""
    shutil.copytree(PROJECT / "src/rareneurons", tmp_path / "src/rareneurons")
    shutil.copy(PROJECT / "pyproject.toml", tmp_path)
    return tmp_path


def broken_contracts(project):
    """Names of the contracts that the library in this folder breaks, and all that was printed."""
    path = os.pathsep.join(filter(None, [str(project / "src"), os.environ.get("PYTHONPATH")]))
    done = subprocess.run(
        [sys.executable, "-c", LINT, "--no-logo", "--no-cache"],
        cwd=project,
        env={**os.environ, "PYTHONPATH": path, "COLUMNS": "1000"},
        capture_output=True,
        text=True,
        check=False,
    )
    lines = done.stdout.splitlines()
    verdicts = [line for line in lines if line.endswith((" KEPT", " BROKEN"))]
    assert len(verdicts) == len(CONTRACTS) >= 3, done.stdout + done.stderr
    broken = [line for line in verdicts if line.endswith(" BROKEN")]
    assert done.returncode == bool(broken)
    return " ".join(broken), done.stdout


def add_line(project, module, line):
    file = project / "src/rareneurons" / module
    file.parent.mkdir(exist_ok=True)
    with file.open("a", encoding="utf-8") as stream:
        stream.write(f"\n{line}\n")


def test_library_keeps_the_order(copy):
    assert broken_contracts(copy)[0] == ""


@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        ("models/schedule.py", "from rareneurons import claims", "Imports go one way"),
        ("groups.py", "from rareneurons.attention.heads import AblationKind", "Imports go one way"),
        ("coordination/measures.py", "from rareneurons.spectra import measures", "do not import one another"),
        ("report/page.py", "from rareneurons.figures import palette", "Only scripts and inspection import figures"),
        (
            "claims/bounds.py",
            "def late():\n    from rareneurons.figures import style",
            "Only scripts and inspection import figures",
        ),
        ("planning/code.py", "from rareneurons.models import schedule", "Imports go one way"),
        ("planning/code.py", "import pandas", "no numpy, pandas or torch"),
        ("planning/code.py", "import torch.nn", "no numpy, pandas or torch"),
        ("groups.py", "from rareneurons.influence import tiles", "no model takes no torch"),
    ],
)
def test_import_against_the_order_fails(copy, module, line, contract):
    add_line(copy, "planning/__init__.py", '"""Plan of a run."""')
    assert broken_contracts(copy)[0] == ""
    add_line(copy, module, line)
    broken, printed = broken_contracts(copy)
    assert contract in broken
    assert "rareneurons." + module.removesuffix(".py").replace("/", ".") in printed


def test_module_without_a_place_in_the_order_fails(copy):
    add_line(copy, "moods.py", '"""No line of the order names it."""')
    broken, printed = broken_contracts(copy)
    assert "Imports go one way" in broken
    assert "moods" in printed
