"""A run can be planned where Snakemake alone is installed."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import PROJECT, copy_project

# Python runs a module of this name when it starts. Snakemake loads whichever of its plugins are installed, and the
# Slurm plugin needs pandas: plugins are hidden, too.
BLOCKED = """
import pkgutil, sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {
            "numpy", "pandas", "scipy", "torch", "transformers", "tokenizers", "safetensors", "huggingface_hub",
            "matplotlib", "seaborn", "networkx", "pyarrow", "tqdm", "weightwatcher",
        }:
            raise ImportError(f"{name} is not installed here")

every_module = pkgutil.iter_modules
pkgutil.iter_modules = lambda *given: (
    found for found in every_module(*given) if not found.name.startswith("snakemake_executor_plugin_")
)
sys.meta_path.insert(0, Blocker())
"""


def without_packages(folder: Path, project: Path, *command: str) -> subprocess.CompletedProcess:
    """Run Python where no package that computes can be imported."""
    (folder / "sitecustomize.py").write_text(BLOCKED)
    environment = os.environ | {"PYTHONPATH": f"{folder}{os.pathsep}{project / 'src'}"}
    return subprocess.run([sys.executable, *command], cwd=project, capture_output=True, text=True, env=environment)


def test_the_packages_are_blocked(tmp_path):
    done = without_packages(tmp_path, PROJECT, "-c", "import pandas")
    assert "ImportError: pandas is not installed here" in done.stderr


@pytest.mark.parametrize(
    "file", sorted((PROJECT / "src/rareneurons/planning").glob("*.py")), ids=lambda file: file.stem
)
def test_planning_needs_no_package_that_computes(tmp_path, file):
    done = without_packages(tmp_path, PROJECT, "-c", f"import rareneurons.planning.{file.stem}")
    assert done.returncode == 0, done.stderr


@pytest.mark.workflow
@pytest.mark.parametrize(
    ("overlay", "checkpoints", "fetched"),
    [((), 4 + 6 * 24, 148), (("--configfile", "config/demo.yaml"), 4 + 2, 0)],
    ids=["full", "demo"],
)
def test_plan_needs_no_package_that_computes_and_no_network(tmp_path, overlay, checkpoints, fetched):
    project = copy_project(tmp_path)
    done = without_packages(tmp_path, project, "-m", "snakemake", "-n", *overlay)
    assert done.returncode == 0, done.stdout + done.stderr
    plan = dict(re.findall(r"^(\w+) +(\d+)$", done.stdout, flags=re.M))
    assert int(plan["influence"]) == int(plan["trace"]) == checkpoints
    assert int(plan.get("fetch_checkpoint", 0)) == fetched


@pytest.mark.workflow
@pytest.mark.parametrize(
    ("run", "target", "jobs"),
    [
        ("polypythias", "tables/audit.csv", {"list_files": 360, "audit_hub": 45}),  # its whole plan takes a minute
        ("olmo", "olmo2-1b/step10000/influence.parquet", {"list_files": 1, "fetch_corpus": 2, "token_stream": 1}),
    ],
)
def test_overlays_of_models_on_the_hub_are_planned_without_it(tmp_path, run, target, jobs):
    project = copy_project(tmp_path)
    command = ("-m", "snakemake", "-n", "--quiet", "rules", "--configfile", f"config/{run}.yaml", "--")
    done = without_packages(tmp_path, project, *command, f"results/{run}/{target}")
    assert done.returncode == 0, done.stdout + done.stderr
    for rule, number in jobs.items():
        assert re.search(rf"^{rule} +{number}$", done.stdout + done.stderr, flags=re.M)
