"""What jobs ask for: all ask, a second attempt gets more, a finished run is held against it; the Slurm profile."""

import re
from pathlib import Path

import pandas as pd
import pytest
import yaml
from conftest import PROJECT, copy_project, snakemake
from safetensors.numpy import load_file
from snakemake.utils import update_config
from test_benchmark import loaded

from rareneurons.planning import costs

pytestmark = pytest.mark.workflow
SMOKE = ("--configfile", "config/smoke.yaml")
RULES = {
    name: text
    for file in (PROJECT / "workflow/rules").glob("*.smk")
    for name, text in re.findall(r"^rule (\w+):\n((?:(?:    .*)?\n)*)", file.read_text(), flags=re.M)
}
LOCAL = {name for name, text in RULES.items() if "    localrule: True\n" in text}
COSTS = loaded("costs")
SLURM = yaml.safe_load((PROJECT / "workflow/profiles/slurm/config.yaml").read_text())


def test_every_rule_asks_for_threads_memory_and_time(smoke_run):
    listed = set(snakemake(smoke_run, "--list-rules").stdout.split())
    assert set(RULES) - {"other_layers"} == listed - {"all"}, "the text of every rule was found"
    for name, text in RULES.items():
        assert re.search(r"^    threads: \S", text, flags=re.M), name
        assert re.search(r"^        \*\*needs(\(\"\w+\"\)|_of_measure\(\)),$", text, flags=re.M), name


def test_retries_stand_in_the_profile_but_for_local_downloads():
    assert SLURM["retries"] == 2
    assert {name for name, text in RULES.items() if "    retries:" in text} <= LOCAL


def test_whoever_needs_the_hub_runs_where_snakemake_was_started():
    asking = re.compile("models.hub|stored_on_hub")
    needs_hub = {path.stem for path in (PROJECT / "scripts").glob("*.py") if asking.search(path.read_text())}
    assert needs_hub >= {"fetch_checkpoint", "list_files", "audit_hub"}
    for name, text in RULES.items():
        script = re.search(r"scripts/(\w+)\.py", text)[1]
        assert script not in needs_hub or name in LOCAL, name


def test_slurm_groups_every_figure_and_no_rule_that_is_none():
    grouped = dict(entry.split("=") for entry in SLURM["groups"])
    assert set(grouped) <= set(RULES)
    assert {name for name in RULES if name.startswith("figure")} == {
        name for name, group in grouped.items() if group == "figures"
    }
    assert {entry.split("=")[0] for entry in SLURM["group-components"]} == set(grouped.values())


@pytest.fixture(scope="module")
def asked(smoke_run):
    return COSTS.asked(smoke_run, smoke_run / "config/smoke.yaml")


def test_finished_run_took_no_more_than_its_jobs_ask_for(smoke_run, asked):
    table = COSTS.requests(smoke_run, asked).set_index("rule")
    assert set(RULES) - set(table.index) <= LOCAL | {"other_layers", "unpack_gguf", "unpack_gguf_tokenizer"}
    assert (table["over"] == 0).all(), table.to_string()
    assert (table["MB taken"] > 0).any()


@pytest.mark.parametrize(("taken", "over"), [((9000, 100), 1), ((5, 90000), 1), ((5, 100), 0)])
def test_job_that_took_more_is_found(tmp_path, taken, over):
    header, seconds, memory = "s\th:m:s\tmax_rss\tcpu_time", *taken
    (tmp_path / "claims.tsv").write_text(f"{header}\n{seconds}\t-\t{memory}\t1\n")
    job = {"rule": "claims", "mem_mb": 900, "runtime": 11}
    jobs = pd.DataFrame([job | {"benchmark": "claims.tsv"}, job | {"benchmark": "another.tsv"}])
    assert COSTS.requests(tmp_path, jobs)["over"].tolist() == [over]


@pytest.mark.oracle
def test_plan_asks_for_what_the_formulas_say_of_the_files_sizes(smoke_run, asked):
    """Sizes read anew: weights and arrays opened, files weighed one by one."""
    folder = smoke_run / "results/smoke/neox-tiny"
    config = yaml.safe_load((PROJECT / "config.yaml").read_text())
    update_config(config, yaml.safe_load((PROJECT / "config/smoke.yaml").read_text()))
    asked = asked.set_index("benchmark")[["mem_mb", "runtime"]].T

    def expected(stage: str, sizes: costs.Sizes) -> list[int]:
        request = costs.request(costs.ESTIMATES[stage](sizes, config))
        return [request.mem_mb, request.runtime]

    def megabytes(*files: Path) -> float:
        return sum(file.stat().st_size for file in files) / 2**20

    step, rows = folder / "step16", folder.parent / "inputs/rows/docstrings-512/rows.parquet"
    frequencies = rows.with_name("frequencies.parquet"), folder.parent / "inputs/counts/docstrings-512/counts.npy"
    layer, traced = load_file(step / "last_layer.safetensors"), load_file(step / "trace.safetensors")
    shape = costs.Shape(0, 64, 0, len(layer["unembedding"]), len(layer["output_weight"]))
    sizes = costs.Sizes(
        megabytes(step / "last_layer.safetensors", step / "trace.safetensors", rows, *frequencies),
        0,
        shape,
        len(traced["residual"]),
    )
    assert asked["results/smoke/benchmarks/influence/neox-tiny/step16.tsv"].tolist() == expected("influence", sizes)

    weights = folder / "training/step16/model.safetensors"
    sizes = costs.Sizes(0, megabytes(weights), costs.Shape(2, 64, 2, 512, 256))
    assert asked["results/smoke/benchmarks/trace/neox-tiny/step16.tsv"].tolist() == expected("trace", sizes)

    text = folder.parent / "inputs/corpora/docstrings/documents.parquet"
    tokenizer = [file for file in (folder.parent / "inputs/tokenizers/docstrings-512").iterdir() if file.is_file()]
    sizes = costs.Sizes(megabytes(text, *tokenizer))
    assert asked["results/smoke/benchmarks/token_stream/docstrings-512.tsv"].tolist() == expected("token_stream", sizes)


def test_an_accelerator_takes_the_work_and_is_asked_for(smoke_run):
    config = yaml.safe_load((smoke_run / "config/smoke.yaml").read_text())
    config["models"][0] |= {"name": "large", "hidden_size": 2048, "n_layers": 24}
    asked = {}
    for device in ("cpu", "cuda"):
        (smoke_run / f"config/on_{device}.yaml").write_text(yaml.safe_dump(config | {"device": device}))
        plan = snakemake(
            smoke_run, "-n", "results/smoke/large/training", "--configfile", f"config/on_{device}.yaml"
        ).stdout
        asked[device] = {
            name: int(re.search(rf"^rule train_model:\n(?:    .*\n)*?    .*\b{name}[=:] ?(\d+)", plan, flags=re.M)[1])
            for name in ("gpu", "runtime", "mem_mb")
        }
    assert [asked[device]["gpu"] for device in ("cpu", "cuda")] == [0, 1]
    assert asked["cpu"]["runtime"] > asked["cuda"]["runtime"]
    assert asked["cpu"]["mem_mb"] == asked["cuda"]["mem_mb"] > 16_000, (
        "weights, gradients and moments of 1.2e9 parameters"
    )


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
