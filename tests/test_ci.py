"""What runs the tests elsewhere: the script, the browser that it installs, the versions of Python."""

import os
import re
import subprocess

import pytest
import yaml
from conftest import PROJECT
from test_environments import METADATA, PYTHONS

WORKFLOW = yaml.safe_load((PROJECT / ".github/workflows/ci.yml").read_text())


def install_chromium(folder, user=0, **commands):
    """Run the script where there are no commands but these (name -> body); what it says and what ``apt-get`` got."""
    calls = folder / "calls"
    calls.touch()
    commands = {"id": f"echo {user}", "timeout": 'shift; exec "$@"'} | commands
    for name, body in commands.items():
        file = folder / name.replace("_", "-")
        file.write_text(f'#!/bin/bash\n[ {name} != apt_get ] || echo "$@" >> {calls}\n{body}\n')
        file.chmod(0o755)
    done = subprocess.run(
        ["/bin/bash", PROJECT / ".ci/install_chromium"],
        env={"PATH": str(folder)},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout, calls.read_text().splitlines()


@pytest.mark.parametrize("name", ["chromium", "google-chrome"])
def test_browser_that_is_there_is_kept(tmp_path, name):
    assert install_chromium(tmp_path, **{name: "true", "apt_get": "true"}) == ("", [])


def test_missing_browser_is_installed(tmp_path):
    said, calls = install_chromium(tmp_path, apt_get="true")
    assert said.startswith("Installed Chromium")
    assert calls == ["-qq update", "-qq install --yes --no-install-recommends chromium"]


@pytest.mark.parametrize(
    ("user", "commands", "attempts"),
    [
        (0, {}, 0),
        (1000, {"apt_get": "true"}, 0),
        (0, {"apt_get": "exit 100"}, 1),
        (0, {"apt_get": '[ "$2" = update ]'}, 2),
    ],
)
def test_browser_that_cannot_be_installed_is_done_without(tmp_path, user, commands, attempts):
    said, calls = install_chromium(tmp_path, user, **commands)
    assert "browser tests will be skipped" in said
    assert len(calls) == attempts


def test_ci_installs_the_browser_before_the_tests():
    script = (PROJECT / ".ci/run").read_text().splitlines()
    assert script[-2:] == [".ci/install_chromium", "make test-all"]
    assert os.access(PROJECT / ".ci/install_chromium", os.X_OK)


def test_workflow_runs_it_on_every_python_that_the_locks_are_for():
    job = WORKFLOW["jobs"]["tests"]
    assert job["strategy"]["matrix"]["python"] == PYTHONS
    assert METADATA["project"]["requires-python"] == f">={PYTHONS[0]}"
    assert "bash .ci/run" in commands(job)


def commands(job):
    return [step["run"] for step in job["steps"] if "run" in step]


def test_workflows_run_targets_that_make_has():
    made = {
        command.removeprefix("make ")
        for name in ("ci.yml", "release.yml")
        for job in yaml.safe_load((PROJECT / ".github/workflows" / name).read_text())["jobs"].values()
        for command in commands(job)
        if command.startswith("make ")
    }
    targets = set(re.findall(r"^([\w-]+):", (PROJECT / "Makefile").read_text(), flags=re.M))
    assert {"check", "lock-check", "dist"} <= made <= targets
