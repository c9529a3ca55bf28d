"""Costs of the full reproduction by formula, and requests and formulas compared with a finished run.

``python benchmarks/costs.py --rate 34e12`` prints download, disk, memory and hours of each model in config.yaml, for a
machine with this many float32 operations per second.

``--run results/demo`` prints two tables of a finished run. The first shows, per rule, the memory and time that its jobs
request (from a dry run of all of them) beside the most that one job took (from ``benchmarks/`` in the run's folder).
The second, for models trained by the workflow, shows predicted beside measured processor seconds. It uses this
machine's rate, which is measured first with matrix products. The exit status is 1 if a job took more than it requests.
"""

import argparse
import re
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import torch
import yaml
from snakemake.utils import update_config

from rareneurons.planning import costs
from rareneurons.planning.costs import Shape

PROJECT = Path(__file__).resolve().parent.parent
GIB = 2**30


def gpt(layers: int, width: int, heads: int, vocabulary: int, tied: bool, stored: int) -> Shape:
    """GPT-2's and GPT-NeoX's shape: N = 4 d."""
    return Shape(layers, width, heads, vocabulary, 4 * width, tied, stored)


PAPER = {
    "gpt2": gpt(12, 768, 12, 50257, tied=True, stored=4),
    "gpt2-medium": gpt(24, 1024, 16, 50257, tied=True, stored=4),
    "gpt2-large": gpt(36, 1280, 20, 50257, tied=True, stored=4),
    "gpt2-xl": gpt(48, 1600, 25, 50257, tied=True, stored=4),
    "pythia-70m-deduped": gpt(6, 512, 8, 50304, tied=False, stored=2),
    "pythia-160m-deduped": gpt(12, 768, 12, 50304, tied=False, stored=2),
    "pythia-410m-deduped": gpt(24, 1024, 16, 50304, tied=False, stored=2),
    "pythia-1b-deduped": gpt(16, 2048, 8, 50304, tied=False, stored=2),
    "pythia-1.4b-deduped": gpt(24, 2048, 16, 50304, tied=False, stored=2),
    "pythia-2.8b-deduped": gpt(32, 2560, 32, 50304, tied=False, stored=2),
}


def heavy(shape: Shape, config: dict, n_rows: int) -> dict[str, costs.Cost]:
    """Cost of a checkpoint's three heavy jobs."""
    sizes = costs.Sizes(shape=shape, rows=n_rows)
    return {stage: costs.ESTIMATES[stage](sizes, config) for stage in ("trace", "influence", "attention")}


def costs_of_models(config: dict, rate: float) -> pd.DataFrame:
    """Download, largest folder, memory, kept results and hours of each model in the configuration."""
    n_rows, records = costs.n_rows(config), []
    for model in config["models"]:
        shape, n_checkpoints = PAPER[model["name"]], len(model["checkpoints"])
        stored = shape.parameters * shape.stored
        trace = 4 * n_rows * (shape.neurons + shape.width)
        layer = 4 * shape.width * (shape.vocabulary + 2 * shape.neurons)
        jobs = heavy(shape, config, n_rows)
        hours = {stage: cost.shared_seconds("accelerator", rate) / 3600 for stage, cost in jobs.items()}
        records.append(
            {
                "model": model["name"],
                "checkpoints": n_checkpoints,
                "download GiB": n_checkpoints * stored / GIB,
                "GiB per checkpoint": stored / GIB,
                "memory GiB": (4 * shape.parameters + 2 * trace) / GIB + config["influence"]["memory_gib"],
                "results GiB": n_checkpoints * (trace + layer) / GIB,
            }
            | {f"{stage} h": n_checkpoints * value for stage, value in hours.items()}
            | {"weightwatcher core h": n_checkpoints * shape.weightwatcher_seconds / 3600}
        )
    return pd.DataFrame(records)


def measured_rate() -> float:
    """Float32 operations per second of matrix products on the CPU, with one thread."""
    torch.set_num_threads(1)
    a = torch.randn(1024, 1024)
    started = time.perf_counter()
    for _ in range(20):
        a @ a
    return 20 * 2 * 1024**3 / (time.perf_counter() - started)


def benchmark_of(file: Path) -> pd.Series:
    """Cost of a job: ``s`` seconds, ``max_rss`` MB, ``cpu_time`` seconds. Missing if the job was too short."""
    return pd.read_csv(file, sep="\t", na_values="-")[["s", "max_rss", "cpu_time"]].max()


def compared(run: Path, config: dict) -> pd.DataFrame:
    """Predicted and measured processor seconds of a finished run's heavy jobs, summed over checkpoints."""
    rate, records = measured_rate(), []
    n_rows = len(pd.read_parquet(next(run.glob("inputs/rows/*/rows.parquet"))))
    for model in config["models"]:
        tokenizer = next(entry for entry in config["tokenizers"] if entry["name"] == model["tokenizer"])
        shape = costs.sizes_of_training(model, tokenizer["vocabulary_size"], 0).shape
        for stage, cost in heavy(shape, config, n_rows).items():
            files = list(run.glob(f"benchmarks/{stage}/{model['name']}/*.tsv"))
            found = sum(benchmark_of(file)["cpu_time"] for file in files)
            predicted = len(files) * (cost.seconds + cost.shared_seconds("cpu", rate))
            records.append({"model": model["name"], "stage": stage, "predicted s": predicted, "measured s": found})
    return pd.DataFrame(records).assign(ratio=lambda table: table["measured s"] / table["predicted s"])


def asked(project: Path, config_file: Path) -> pd.DataFrame:
    """Request of each job, from a dry run: ``rule``, ``benchmark`` (its file), ``mem_mb`` MB, ``runtime`` minutes."""
    command = [sys.executable, "-m", "snakemake", "-n", "--forceall", "--configfile", str(config_file)]
    plan = subprocess.run(command, cwd=project, capture_output=True, text=True, check=True).stdout
    pattern = r"^(?:local)?rule (\w+):\n(?:    .*\n)*?    benchmark: (.+)\n(?:    .*\n)*?    resources: (.+)$"
    records = [
        {"rule": rule, "benchmark": file}
        | {name: int(re.search(rf"\b{name}=(\d+)", resources)[1]) for name in ("mem_mb", "runtime")}
        for rule, file, resources in re.findall(pattern, plan, flags=re.M)
    ]
    return pd.DataFrame(records)


def requests(project: Path, jobs: pd.DataFrame) -> pd.DataFrame:
    """Per rule: the most that one of the jobs took, beside the request of that job.

    Args:
        project: the folder with the run's Snakefile and results.
        jobs: requests of jobs, as :func:`asked` returns them. Jobs that never ran are left out.

    Returns:
        One row per rule. ``over`` is the number of jobs that took more memory or time than they request.
    """
    jobs = jobs[[(project / file).exists() for file in jobs["benchmark"]]]
    took = [benchmark_of(project / file) for file in jobs["benchmark"]]
    jobs = jobs.join(pd.DataFrame(took, index=jobs.index).fillna(0)).assign(
        memory=lambda job: job["max_rss"] / job["mem_mb"], time=lambda job: job["s"] / 60 / job["runtime"]
    )
    jobs["over"] = (jobs["memory"] > 1) | (jobs["time"] > 1)
    fullest = jobs.loc[jobs.groupby("rule", sort=False)["memory"].idxmax()].set_index("rule")
    slowest = jobs.loc[jobs.groupby("rule", sort=False)["time"].idxmax()].set_index("rule")
    return pd.DataFrame(
        {
            "jobs": jobs["rule"].value_counts().reindex(fullest.index),
            "MB asked for": fullest["mem_mb"],
            "MB taken": fullest["max_rss"],
            "share of memory": fullest["memory"],
            "min asked for": slowest["runtime"],
            "min taken": slowest["s"] / 60,
            "share of time": slowest["time"],
            "over": jobs.groupby("rule")["over"].sum(),
        }
    ).reset_index()


def printed(table: pd.DataFrame) -> None:
    print(
        table.astype(object).where(table.notna(), None).to_markdown(index=False, floatfmt=".2f", missingval="—"),
        end="\n\n",
    )


def main() -> int:
    """Print the requested tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=34e12, help="float32 operations per second")
    parser.add_argument("--run", type=Path, help="folder of a finished run, results/<name>, of config/<name>.yaml")
    settings = parser.parse_args()
    config = yaml.safe_load((PROJECT / "config.yaml").read_text())
    if not settings.run:
        table = costs_of_models(config, settings.rate)
        total = table.drop(columns=["model", "GiB per checkpoint", "memory GiB"]).sum().to_dict()
        printed(pd.concat([table, pd.DataFrame([{"model": "all"} | total])]))
        return 0
    run = settings.run.resolve()
    project = run.parent.parent
    overlay = project / f"config/{run.name}.yaml"
    table = requests(project, asked(project, overlay))
    printed(table)
    update_config(config, yaml.safe_load(overlay.read_text()))
    if all(model["source"] == "train" for model in config["models"]):
        printed(compared(run, config))
    return int(table["over"].any())


if __name__ == "__main__":
    sys.exit(main())
