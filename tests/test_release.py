"""A release: its version and citation, its wheel in a bare environment, and which package brings what."""

import json
import re
import subprocess
import sys
import sysconfig
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest
import yaml
from conftest import PROJECT, bring
from packaging.requirements import Requirement
from test_environments import METADATA, requirements

import rareneurons

EXTRAS = METADATA["project"]["optional-dependencies"]
# Imports every module where what the extras bring is missing, and prints what each failing one says. sitecustomize
# would be Python's own place for this, but the machine may have one.
IMPORT_EVERYTHING = """
import importlib, json, pkgutil, sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Blocker())
import rareneurons

said = {{}}
for module in pkgutil.walk_packages(rareneurons.__path__, "rareneurons.", onerror=lambda name: None):
    try:
        importlib.import_module(module.name)
    except ModuleNotFoundError as error:
        said[module.name] = str(error)
print(json.dumps([rareneurons.__file__, said]))
"""


@pytest.fixture(scope="module")
def dist(tmp_path_factory):
    """What ``make dist`` builds, from a copy."""
    project = tmp_path_factory.mktemp("dist")
    for name in ("pyproject.toml", "MANIFEST.in", "README.md", "LICENSE", "src"):
        bring(PROJECT / name, project / name)
    command = [sys.executable, "-m", "build", "--no-isolation"]
    assert f"$(BIN)/python {' '.join(command[1:])}\n" in (PROJECT / "Makefile").read_text()
    done = subprocess.run(command, cwd=project, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return project / "dist"


@pytest.fixture(scope="module")
def bare_python(dist, tmp_path_factory):
    """Python of an environment with the wheel, and with what it depends on by a link to this one."""
    folder = tmp_path_factory.mktemp("bare")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    (wheel,) = dist.glob("*.whl")
    pip = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        folder / "bin/python",
        "install",
        "--quiet",
        "--no-deps",
        "--no-index",
    ]
    subprocess.run([*pip, wheel], check=True)
    return folder / "bin/python"


def test_version_is_the_same_everywhere():
    citation = yaml.safe_load((PROJECT / "CITATION.cff").read_text())
    newest = re.search(r"^## ([\d.]+)", (PROJECT / "CHANGELOG.md").read_text(), flags=re.M)[1]
    assert METADATA["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "rareneurons.__version__"}
    assert rareneurons.__version__ == citation["version"] == newest


def test_wheel_says_what_it_is_and_needs(dist):
    (wheel,) = dist.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (metadata,) = [name for name in names if name.endswith(".dist-info/METADATA")]
        said = Parser().parsestr(archive.read(metadata).decode())
    assert (said["Name"], said["Version"]) == ("rareneurons", rareneurons.__version__)
    assert (said["License-Expression"], said["Requires-Python"]) == ("MIT", METADATA["project"]["requires-python"])
    assert set(said.get_all("Provides-Extra")) == set(EXTRAS)
    needed = [Requirement(line) for line in said.get_all("Requires-Dist")]
    assert {one.name for one in needed if one.marker is None} == {one.name for one in requirements()}
    assert {"rareneurons/py.typed", "rareneurons/report/templates/report.html"} <= set(names)
    outside = {
        name
        for name in names
        if not name.startswith(("rareneurons/", "rareneurons_jobs/", f"rareneurons-{said['Version']}.dist-info/"))
    }
    assert not outside


def test_library_installs_alone_and_names_the_extra_of_what_is_missing(bare_python, tmp_path):
    blocked = {"snakemake", "docutils", "jsonschema", "matplotlib", "plotly", "seaborn", "weightwatcher", "powerlaw"}
    (tmp_path / "everything.py").write_text(IMPORT_EVERYTHING.format(blocked=blocked))
    done = subprocess.run([bare_python, "-I", "everything.py"], cwd=tmp_path, capture_output=True, text=True)
    file, said = json.loads(done.stdout)
    assert Path(file).is_relative_to(bare_python.parent.parent)
    assert {name.split(".")[1] for name in said} == {"figures", "planning", "report"}
    for name in ("figures", "report"):
        assert said[f"rareneurons.{name}"].endswith("pip install 'rareneurons[report]'")
