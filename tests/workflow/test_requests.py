"""What jobs ask for: all ask, a second attempt gets more, a finished run is held against it; the Slurm profile."""

import re

import pytest
import yaml
from conftest import PROJECT, copy_project, snakemake
from test_benchmark import loaded

pytestmark = pytest.mark.workflow
SMOKE = ("--configfile", "config/smoke.yaml")
RULES = {
    name: text
    for file in (PROJECT / "workflow/rules").glob("*.smk")
    for name, text in re.findall(r"^rule (\w+):\n((?:(?:    .*)?\n)*)", file.read_text(), flags=re.M)
}
LOCAL = {
    name
    for file in (PROJECT / "workflow/rules").glob("*.smk")
    for names in re.findall(r"^localrules:\n((?:    .*\n)+)", file.read_text(), flags=re.M)
    for name in re.findall(r"\w+", names)
}
SLURM = yaml.safe_load((PROJECT / "workflow/profiles/slurm/config.yaml").read_text())


def test_every_rule_asks_for_threads_memory_and_time():
    assert len(RULES) > 40
    for name, text in RULES.items():
        assert re.search(r"^    threads: \S", text, flags=re.M), name
        assert re.search(r"^        \*\*needs\(\"\w+\"\),$", text, flags=re.M), name


def test_retries_stand_in_the_profile_but_for_local_downloads():
    assert SLURM["retries"] == 2
    assert {name for name, text in RULES.items() if "    retries:" in text} <= LOCAL


def test_whoever_needs_the_hub_runs_where_snakemake_was_started():
    needs_hub = {path.stem for path in (PROJECT / "scripts").glob("*.py") if "models.hub" in path.read_text()}
    assert needs_hub >= {"fetch_checkpoint", "list_files", "audit_hub"}
    for name, text in RULES.items():
        script = re.search(r"scripts/(\w+)\.py", text)[1]
        assert script not in needs_hub or name in LOCAL, name


def test_slurm_groups_every_figure_and_no_rule_that_is_none():
    grouped = dict(entry.split("=") for entry in SLURM["groups"])
    assert set(grouped) <= set(RULES)
    assert {name for name in RULES if name.startswith("figure_")} == {
        name for name, group in grouped.items() if group == "figures"
    }
    assert {entry.split("=")[0] for entry in SLURM["group-components"]} == set(grouped.values())


def test_finished_run_took_no_more_than_its_jobs_ask_for(smoke_run):
    costs = loaded("costs")
    table = costs.requests(smoke_run / "results/smoke", smoke_run / "config/smoke.yaml").set_index("rule")
    assert set(RULES) - set(table.index) <= LOCAL | {"other_layers"}
    assert (table["over"] == 0).all(), table.to_string()
    assert (table["MB taken"] > 0).any()
    log = smoke_run / "results/smoke/benchmarks/claims.tsv"
    kept = log.read_text()
    try:
        log.write_text(kept.splitlines()[0] + "\n" + "\t".join(["9000", "2:30:00", "90000", *["1"] * 7]) + "\n")
        table = costs.requests(smoke_run / "results/smoke", smoke_run / "config/smoke.yaml").set_index("rule")
    finally:
        log.write_text(kept)
    assert table.index[table["over"] > 0].tolist() == ["claims"]


# Notes what it was given; killed, as for its memory, at the first attempt.
KILLED_ONCE = """
import os, signal
from pathlib import Path
with open("attempts", "a") as notes:
    print(snakemake.resources.mem_mb, snakemake.resources.runtime, file=notes)
if len(Path("attempts").read_text().splitlines()) == 1:
    os.kill(os.getpid(), signal.SIGKILL)
for file in snakemake.output:
    Path(file).write_text("{}")
"""


@pytest.mark.faults
def test_job_killed_for_memory_is_started_again_with_more(tmp_path):
    project = copy_project(tmp_path)
    (project / "scripts/build_corpus.py").write_text(KILLED_ONCE)
    snakemake(project, "results/smoke/inputs/corpora/docstrings/manifest.json", "--retries", "1", *SMOKE)
    first, second = (
        [int(number) for number in line.split()] for line in (project / "attempts").read_text().splitlines()
    )
    assert second == [2 * number for number in first]
