"""The steps of the Dockerfile: what they copy and, by ``make test-container``, what they do in a plain Debian tree."""

import os
import re
import shlex
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from conftest import PROJECT, bring, copy_project

IMAGE = re.compile(r"debian:(?P<release>[a-z]+)-slim")
COMMAND = re.compile(r"CMD \[(.+)\]")


# A container sees its own processes and nothing of the machine's; the mount ends with the command.
PROCESSES_OF_ITS_OWN = ["/usr/bin/unshare", "--mount", "--pid", "--fork"]
CHROOT = "/usr/sbin/chroot"


@dataclass
class Tree:
    """A folder that a Dockerfile's steps fill, and where in it they work."""

    root: Path
    folder: str = "/"
    variables: dict[str, str] = field(default_factory=dict)

    def inside(self, name: str) -> Path:
        return self.root / Path(self.folder, name).relative_to("/")

    def run(self, command: str) -> str:
        """Run a command as a ``RUN`` step does, with the machine's settings of pip and its certificates."""
        machine = {
            name: os.environ[name] for name in ("PIP_CERT", "PIP_FIND_LINKS", "SSL_CERT_FILE") if name in os.environ
        }
        for path in machine.values():
            if Path(path).exists():
                bring(Path(path), self.root / Path(path).relative_to("/"))
        done = subprocess.run(
            [
                *PROCESSES_OF_ITS_OWN,
                f"--mount-proc={self.root}/proc",
                CHROOT,
                self.root,
                "/bin/sh",
                "-c",
                f"cd {self.folder} && {command}",
            ],
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root"} | machine | self.variables,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
        return done.stdout


def steps(dockerfile: Path) -> list[tuple[str, str]]:
    """(instruction, the rest of its line) of a Dockerfile without continued lines."""
    lines = [line for line in dockerfile.read_text().splitlines() if line and not line.startswith("#")]
    return [tuple(line.split(" ", 1)) for line in lines]


def take(tree: Tree, instruction: str, rest: str) -> None:
    """Do one step, except ``FROM`` and ``CMD``."""
    match instruction:
        case "ARG" | "ENV":
            name, value = rest.split("=", 1)
            tree.variables[name] = value
        case "WORKDIR":
            tree.folder = rest
            tree.inside("").mkdir(parents=True, exist_ok=True)
        case "COPY":
            *sources, target = rest.split()
            for source in sources:
                bring(PROJECT / source, tree.inside(target) / ("" if (PROJECT / source).is_dir() else source))
        case "RUN":
            tree.run(rest)
        case _:
            raise AssertionError(f"{instruction}: a step that this test cannot do")


STEPS = steps(PROJECT / "Dockerfile")


def test_everything_that_is_copied_is_there_and_sent_to_docker():
    sent = {line.removeprefix("!") for line in (PROJECT / ".dockerignore").read_text().splitlines() if line[0] == "!"}
    copied = {source for instruction, rest in STEPS if instruction == "COPY" for source in rest.split()[:-1]}
    assert copied == sent
    assert not [name for name in copied if not (PROJECT / name).exists()]


def test_what_is_copied_is_enough_to_install_and_to_run(tmp_path):
    tree = Tree(tmp_path / "image")
    for instruction, rest in STEPS[1:-1]:
        if instruction != "RUN":
            take(tree, instruction, rest)
        elif rest.startswith("make "):
            words = shlex.split(rest.partition(" && ")[0].replace("$TORCH", tree.variables["TORCH"]))
            done = subprocess.run(["make", "-n", *words[1:]], cwd=tree.inside(""), capture_output=True, text=True)
            assert "--require-hashes -r envs/packages.lock" in done.stdout, done.stderr
    needed = {path.name for path in copy_project(tmp_path).iterdir()} - {"profiles"}  # a link that a step makes
    assert needed <= {path.name for path in tree.inside("").iterdir()}


def test_snakefile_names_the_image_that_the_manual_builds():
    (image,) = re.findall(r'^container: "(.+)"$', (PROJECT / "Snakefile").read_text(), flags=re.M)
    assert f"\napptainer build {image} docker-archive:" in (PROJECT / "docs/cluster.md").read_text()


@pytest.mark.container
@pytest.mark.timeout(1800)
def test_steps_work_in_a_plain_debian_tree(tmp_path):
    if os.geteuid() or not shutil.which("debootstrap"):
        pytest.skip("it takes root and debootstrap")
    (_, image), *rest = STEPS
    tree = Tree(tmp_path / "tree")
    subprocess.run(["debootstrap", "--variant=minbase", IMAGE.fullmatch(image)["release"], tree.root], check=True)
    for step in rest[:-1]:
        take(tree, *step)
    assert "No broken requirements" in tree.run("python -m pip check")
    assert "This was a dry-run" in tree.run("snakemake -n --cores 1 --configfile config/demo.yaml")
    words = [word.strip().strip('"') for word in COMMAND.fullmatch(" ".join(rest[-1]))[1].split(",")]
    tree.run(shlex.join([*words, "--until", "corpus"]))
