"""Another workflow imports the rules; tests/workflow/test_determinism.py compares what they then compute."""

import re

import pytest
import yaml
from conftest import PROJECT, copy_project, remote_of, snakemake, user_folder

pytestmark = pytest.mark.workflow
HERE = str(PROJECT / "workflow/Snakefile")


def planned(folder, *arguments) -> dict[str, str]:
    """Rule -> number of jobs that a dry run would start."""
    stats = snakemake(folder, "-n", *arguments).stdout.split("Job stats:")[1].split("total")[0]
    return dict(re.findall(r"^(\w+) +(\d+)$", stats, flags=re.M))


def test_five_lines_and_an_overlay_plan_what_the_project_itself_plans(tmp_path):
    user = user_folder(tmp_path, HERE)
    assert len((user / "Snakefile").read_text().splitlines()) == 5
    jobs = planned(user)
    assert jobs == planned(copy_project(tmp_path), "--configfile", "config/smoke.yaml")
    assert jobs["all"] == "1"


HANDLERS = """
onstart:
    rareneurons.onstart()
onsuccess:
    rareneurons.onsuccess()
onerror:
    rareneurons.onerror()
rule broken:
    output: "broken"
    shell: "exit 1"
"""


def test_handlers_of_a_module_can_be_called_and_know_its_prefix(tmp_path):
    user = user_folder(tmp_path, HERE, prefix="sub", names=" as other_*", more=HANDLERS)
    results = user / "sub/results/smoke"
    results.mkdir(parents=True)
    leftover = results / ".table.csv.0123abcd.partial"
    leftover.touch()
    manifest = "sub/results/smoke/inputs/corpora/docstrings/manifest.json"
    done = snakemake(user, "broken", manifest, "--keep-going", check=False)
    assert done.returncode
    assert (user / manifest).exists()
    assert not leftover.exists(), "onstart"
    assert not (results / "missing.md").exists(), "only a job of another rule failed"
    overlay = yaml.safe_load((user / "overlay.yaml").read_text())
    overlay["corpora"][0]["min_characters"] = 10**6
    (user / "overlay.yaml").write_text(yaml.safe_dump(overlay))
    snakemake(user, manifest, check=False)
    missing = (results / "missing.md").read_text()
    assert missing.startswith("# What is missing in sub/results/smoke/\n")
    assert manifest in missing


def test_own_files_are_not_below_the_prefix(tmp_path):
    user = user_folder(tmp_path, HERE, prefix="sub")
    overlay = yaml.safe_load((user / "overlay.yaml").read_text())
    corpus = {"source": "file", "file": "texts.jsonl", "text_column": "text"}
    overlay["corpora"][0] = {k: v for k, v in overlay["corpora"][0].items() if k != "packages"} | corpus
    (user / "overlay.yaml").write_text(yaml.safe_dump(overlay))
    (user / "texts.jsonl").write_text('{"text": "a"}\n')
    plan = snakemake(user, "-n", "sub/results/smoke/inputs/corpora/docstrings/documents.parquet").stdout
    assert re.search(r"^    input: texts\.jsonl$", plan, flags=re.M)


def test_rules_of_another_version_than_the_library_are_refused(tmp_path, monkeypatch):
    def another_version(project):
        (project / "src/rareneurons/__init__.py").write_text('__version__ = "9.9.9"\n')

    monkeypatch.setenv("PYTHONPATH", str(PROJECT / "src"))
    user = user_folder(tmp_path, remote_of(tmp_path, another_version))
    done = snakemake(user, "-n", check=False)
    assert (
        "these rules are of version 9.9.9, but the library rareneurons that is installed here"
        in done.stdout + done.stderr
    )


def test_config_yaml_of_a_deployment_is_the_project_s():
    """snakedeploy copies config/, and the Snakefile that it writes reads config/config.yaml."""
    assert (PROJECT / "config/config.yaml").resolve() == PROJECT / "config.yaml"


def test_addresses_in_the_manual_of_the_configuration_lead_to_files():
    """Others show this page without the repository, so its links are absolute. CITATION.cff says whose it is."""
    page = (PROJECT / "config/README.md").read_text()
    address = yaml.safe_load((PROJECT / "CITATION.cff").read_text()).get(
        "repository-code", "https://github.com/OWNER/rareneurons"
    )
    targets = re.findall(r"\]\(([^#)][^)]*)\)", page)
    assert len(targets) >= 3
    for target in targets:
        assert target.startswith(f"{address}/blob/main/")
        assert (PROJECT / target.removeprefix(f"{address}/blob/main/")).exists()
