"""What `make` installs on which machine, and what it says where it cannot."""

import importlib.util
import os
import runpy
import subprocess
import sys
from collections import namedtuple

import pytest
from conftest import PROJECT, bring

INSTALLED = ".venv/installed"
Version = namedtuple("Version", "major minor micro releaselevel serial")


@pytest.fixture
def project(tmp_path):
    """What `make` needs to install, and an empty folder `bin` for stand-ins of commands."""
    for name in ("Makefile", "pyproject.toml", "envs"):
        bring(PROJECT / name, tmp_path / name)
    (tmp_path / "bin").mkdir()
    return tmp_path


def stand_in(project, command, body):
    file = project / "bin" / command
    file.write_text(f"#!/bin/sh\n{body}\n")
    file.chmod(0o755)
    return file


def make(project, *arguments):
    # A `make` that runs these tests hands on what it was given.
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "TORCH"))
    }
    environment["PATH"] = f"{project / 'bin'}:/usr/bin:/bin"
    return subprocess.run(["make", *arguments], cwd=project, env=environment, capture_output=True, text=True)


def locks(project, *arguments):
    """Lock files that `make` would install, and whether PyTorch's own index serves the first."""
    done = make(project, "-n", INSTALLED, *arguments)
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if "--require-hashes" in line]
    return [line.split("envs/")[1].removesuffix(".lock") for line in lines], [
        "download.pytorch" in line for line in lines
    ]


def test_torch_is_chosen_by_platform_and_driver(project):
    stand_in(project, "uname", "echo Linux")
    assert locks(project, "TORCH=cuda") == (["torch-cuda", "packages"], [False, False])
    assert locks(project, "TORCH=cpu") == (["torch-cpu", "packages"], [True, False])
    stand_in(project, "nvidia-smi", "true")
    assert locks(project)[0][0] == "torch-cuda"
    stand_in(project, "uname", "echo Darwin")
    assert locks(project) == (["torch-macos", "packages"], [False, False])
    assert locks(project, "TORCH=cuda")[0][0] == "torch-macos"


def test_wrong_choice_is_refused(project):
    stand_in(project, "uname", "echo Linux")
    done = make(project, "-n", INSTALLED, "TORCH=gpu")
    assert done.returncode
    assert done.stderr.splitlines()[0].endswith("TORCH: found 'gpu', expected cpu or cuda.  Stop.")


def test_what_was_installed_stays_until_another_is_chosen(project):
    stand_in(project, "uname", "echo Linux")
    (project / ".venv/bin").mkdir(parents=True)
    (project / ".venv/bin/python").touch()
    (project / INSTALLED).write_text("cuda\n")
    assert locks(project) == ([], [])
    assert locks(project, "TORCH=cuda") == ([], [])
    assert locks(project, "TORCH=cpu")[0] == ["torch-cpu", "packages"]
    os.utime(project / INSTALLED, (0, 0))
    assert locks(project)[0] == ["torch-cuda", "packages"]


def said(monkeypatch, version, missing=()):
    """What the check says of a Python of this version that lacks these modules."""
    find = importlib.util.find_spec
    with monkeypatch.context() as patch:
        patch.setattr(sys, "version_info", Version(*version, 0, "final", 0))
        patch.setattr(importlib.util, "find_spec", lambda name: None if name in missing else find(name))
        try:
            runpy.run_path(str(PROJECT / "envs/check_python.py"), run_name="__main__")
        except SystemExit as stop:
            return stop.code
    return ""


@pytest.mark.parametrize("version", [(3, 11), (3, 12), (3, 13)])
def test_python_that_can_is_used(monkeypatch, version):
    assert said(monkeypatch, version) == ""


@pytest.mark.parametrize("version", [(3, 10), (3, 14)])
def test_other_python_is_refused(monkeypatch, version):
    assert said(monkeypatch, version).startswith("Python 3.11, 3.12 or 3.13 is needed; found ")


@pytest.mark.parametrize("module", ["venv", "ensurepip"])
def test_python_without_venv_is_refused(monkeypatch, module):
    assert said(monkeypatch, (3, 12), {module}).endswith("sudo apt install python3.12-venv")


def test_first_line_says_what_is_wrong_and_nothing_is_left(project):
    stand_in(project, "python3", "echo Python 3.14 is too new >&2; exit 1")
    done = make(project, INSTALLED)
    assert done.returncode
    assert (done.stdout, done.stderr.splitlines()[0]) == ("", "Python 3.14 is too new")
    assert not (project / ".venv").exists()


def test_environment_that_could_not_be_made_is_removed(project):
    stand_in(project, "python3", '[ "$2" != venv ] || { mkdir -p .venv/bin && touch .venv/bin/python && exit 1; }')
    assert make(project, INSTALLED).returncode
    assert not (project / ".venv").exists()
