"""The guides and the README's overlays, followed to the letter."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import PROJECT, copy_project, snakemake
from safetensors.numpy import load_file, save_file
from test_architecture import broken_contracts

from rareneurons.corpus import package_docstrings

pytestmark = pytest.mark.workflow


def written_by(page: str) -> list[tuple[str, str, str]]:
    """File, language and text of each block that stands below a file's name in a guide."""
    text = (PROJECT / page).read_text()
    return re.findall(r"^`([^`\s]+)`\n\n```(\w*)\n(.*?)^```", text, flags=re.M | re.S)


def overlay_in(page: str, name: str) -> str:
    """The YAML block that begins with the overlay's name."""
    (found,) = re.findall(rf"^```yaml\n# {re.escape(name)}\n(.*?)^```", (PROJECT / page).read_text(), flags=re.M | re.S)
    return found


def replaced(text: str, difference: str) -> str:
    """The text with each run of `-` lines replaced by the `+` lines below it."""
    for old, new in re.findall(r"((?:^-.*\n)+)((?:^\+.*\n)+)", difference, flags=re.M):
        before, after = (re.sub("^.", "", part, flags=re.M) for part in (old, new))
        assert text.count(before) == 1, before
        text = text.replace(before, after)
    return text


def copied_with_tests(smoke_run: Path, project: Path) -> Path:
    """A copy of the finished smoke run, with tests and what they and checks read, without other tests' overlays."""
    shutil.copytree(
        smoke_run, project, symlinks=True, ignore=lambda folder, _: ["config"] * (Path(folder) == smoke_run)
    )
    shutil.copy(PROJECT / "pyproject.toml", project)
    for folder in ("tests", "docs", "config"):
        unwanted = shutil.ignore_patterns("__pycache__")
        shutil.copytree(PROJECT / folder, project / folder, symlinks=True, ignore=unwanted)
    shutil.copy(PROJECT / "README.md", project)
    return project


def write(project: Path, blocks: list[tuple[str, str, str]]) -> None:
    """Do what a guide says: write its files, and change those that it shows a difference of."""
    for file, language, text in blocks:
        target = project / file
        target.write_text(replaced(target.read_text(), text) if language == "diff" else text)


def run_checks(project: Path, added: list[str], *commands: list[str]) -> None:
    """Format and lint of the added files, and further commands, in the copy and with its library."""
    environment = os.environ | {"PYTHONPATH": str(project / "src")}
    for command in (["ruff", "check", *added], ["ruff", "format", "--check", *added], *commands):
        done = subprocess.run(
            [sys.executable, "-m", *command], cwd=project, capture_output=True, text=True, env=environment
        )
        assert done.returncode == 0, done.stdout + done.stderr
    assert broken_contracts(project)[0] == ""


def follow(project: Path, guide: str) -> int:
    """Write what a guide shows into the copy, run its checks and tests, and return the number of places it costs."""
    written = written_by(guide)
    write(project, written)
    added = [file for file, language, _ in written if language == "python"]
    tests = [file for file in added if file.startswith("tests/")] + ["tests/planning", "tests/report/test_captions.py"]
    fuzz = "tests/planning/test_configuration_fuzz.py"
    run_checks(project, added, ["pytest", "-q", "-m", "not workflow", "--deselect", fuzz, *tests])
    return len(written)


def test_measure_of_the_guide_costs_six_places_with_its_figure_and_keeps_the_tests_green(tmp_path, smoke_run):
    project = copied_with_tests(smoke_run, tmp_path / "project")
    assert follow(project, "docs/adding_a_measure.md") == 6
    results = "results/smoke"
    wanted = [f"{results}/tables/kurtosis.csv", f"{results}/figures/kurtosis.pdf"]
    done = snakemake(project, *wanted, "--configfile", "config/smoke.yaml")
    assert set(re.findall(r"^(?:local)?rule (\w+):", done.stderr, flags=re.M)) == {"measure", "table", "figure"}
    table = pd.read_csv(project / wanted[0]).query("group == 'top_33' and against == 'matched'")
    assert set(table["checkpoint"]) == {"step0", "step16"}
    assert set(table["measure"]) == {"kurtosis"}
    assert table[["value", "ci_low", "ci_high", "null_mean", "p_value", "q_value"]].notna().all(axis=None)


def test_figure_of_the_guide_costs_four_places_and_keeps_the_tests_green(tmp_path, smoke_run):
    project = copied_with_tests(smoke_run, tmp_path / "project")
    assert follow(project, "docs/adding_a_figure.md") == 4
    drawn = "results/smoke/figures/group_sizes.png"
    assert not (project / drawn).exists()
    done = snakemake(project, drawn, "results/smoke/report.html", "--configfile", "config/smoke.yaml")
    assert sorted(re.findall(r"^(?:local)?rule (\w+):", done.stderr, flags=re.M)) == ["figure", "report"]
    assert (project / drawn).exists()
    assert 'id="figure-group_sizes"' in (project / "results/smoke/report.html").read_text(encoding="utf-8")


def test_corpus_of_the_guide_plans(smoke_run):
    (smoke_run / "texts.jsonl").write_text('{"text": "some words"}\n')
    (smoke_run / "texts.yaml").write_text(overlay_in("docs/adding_a_corpus.md", "texts.yaml"))
    output = snakemake(smoke_run, "-n", "--configfile", "config/smoke.yaml", "texts.yaml").stdout
    assert "results/texts/neox-tiny/step16/influence.parquet" in output


def local_model(smoke_run: Path, project: Path, name: str, step: str) -> Path:
    """A folder as save_pretrained leaves it: a model of the smoke run with its tokenizer beside it."""
    shutil.copytree(smoke_run / f"results/smoke/neox-tiny/training/{step}", project / name)
    for file in (smoke_run / "results/smoke/inputs/tokenizers/docstrings-512").iterdir():
        shutil.copy(file, project / name)
    return project / name


def without_influence(folder: Path) -> None:
    """Set the output projection of the last MLP to zero: no neuron has an influence, so none can be ranked."""
    weights = load_file(folder / "model.safetensors")
    zeroed = {name: array * 0 if "layers.1.mlp.dense_4h_to_h" in name else array for name, array in weights.items()}
    assert any((array == 0).all() for array in zeroed.values())
    save_file(zeroed, folder / "model.safetensors", metadata={"format": "pt"})


@pytest.mark.faults
def test_models_of_the_readme_run_to_their_report(smoke_run, tmp_path):
    """One release without a step each: no trends, and claims about training say so. One has nothing to rank."""
    project = copy_project(tmp_path)
    local_model(smoke_run, project, "trained", "step16")
    without_influence(local_model(smoke_run, project, "silent", "step0"))
    mine = yaml.safe_load(overlay_in("README.md", "mine.yaml").replace("/path/to/model", "trained"))
    assert mine["models"][0]["source"] == "local"
    mine["models"].append(mine["models"][0] | {"name": "silent", "folder": "silent"})
    (project / "mine.yaml").write_text(yaml.safe_dump(mine))
    small = yaml.safe_load((project / "config/smoke.yaml").read_text())
    small["rows"] = {key: small["rows"][key] for key in ("documents", "block_length", "rows_per_condition")}
    small = {key: value for key, value in small.items() if key not in ("run", "corpora", "tokenizers", "models")}
    small["firmness"] = {"references": [], "other_band": False, "half_documents": False, "other_statistic": False}
    (project / "small.yaml").write_text(yaml.safe_dump(small))
    texts = [text for text in package_docstrings("networkx") if len(text) >= 200]
    (project / "texts.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    snakemake(project, "--configfile", "small.yaml", "mine.yaml")
    results = project / "results/mine"
    assert (results / "report.html").exists()
    for name in ("dynamics", "final_top"):
        table = pd.read_csv(results / f"tables/{name}.csv")
        assert "model" in table
        assert table.empty
    claims = pd.read_csv(results / "claims.csv").set_index(["claim", "model"])
    for model in ("mine", "silent"):
        assert claims.loc[("C6", model), "verdict"] == "undecided"
        assert "(0 here)" in claims.loc[("C6", model), "need"]
        assert f"for {model} at main:" in claims.loc[("C6", model), "sentence"]
    assert np.isfinite(claims.loc[("C3", "mine"), "value"])
    assert claims.loc[("C3", "silent"), "verdict"] == "undecided"
    assert np.isnan(claims.loc[("C3", "silent"), "value"])


def test_full_reproduction_has_as_many_jobs_as_the_readme_says(smoke_run):
    said = re.search(r"the plan: (\d+) jobs, (\d+) checkpoints", Path(PROJECT / "README.md").read_text())
    output = snakemake(smoke_run, "-n").stdout
    assert said
    assert re.search(r"^total +(\d+)$", output, flags=re.M)[1] == said[1]
    assert re.search(r"^trace +(\d+)$", output, flags=re.M)[1] == said[2]
