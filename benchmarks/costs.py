"""What the full reproduction costs, by formula, and how the formula fares on a finished run.

``python benchmarks/costs.py --rate 34e12`` prints, for the models of config.yaml and a machine that makes that many
float32 operations a second, download, disk, memory and hours of each model. ``--run results/demo`` prints predicted
beside measured processor seconds of a run of models trained by the workflow (``benchmarks/`` in its folder); its rate
is measured first, by matrix products on this machine.
"""

import argparse
import re
import time
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch
import yaml
from snakemake.utils import update_config

PROJECT = Path(__file__).resolve().parent.parent
START = {"trace": 5.0, "influence": 2.5, "attention": 6.0}  # seconds a job takes to import what it needs
# Measured: seconds a row, neuron and word beside the products (H100: benchmarks/large_model.py, CPU: make bench), and
# WeightWatcher's singular values, twice because of the shuffled baseline.
SECONDS_A_WORD = {"accelerator": 4e-12, "cpu": 1e-10}
WEIGHTWATCHER_RATE = 5e9 / 2  # of m n^2 for an m x n matrix, n <= m, a second on one core
GIB = 2**30


@dataclass(frozen=True)
class Shape:
    """What costs depend on; ``width`` d, ``neurons`` N of a layer, ``stored`` bytes a weight in the file."""

    layers: int
    width: int
    heads: int
    vocabulary: int
    tied: bool
    stored: int

    @property
    def neurons(self) -> int:
        """N = 4 d in GPT-2 and GPT-NeoX."""
        return 4 * self.width

    @property
    def parameters(self) -> float:
        """Weights: 12 d^2 a layer, and the embeddings."""
        return 12 * self.layers * self.width**2 + (1 if self.tied else 2) * self.vocabulary * self.width

    @property
    def weightwatcher_hours(self) -> float:
        """On one core; the matrices of a layer are 3 d, d, 4 d and 4 d by d, the embeddings V by d."""
        layers = self.layers * 12 * self.width**3
        return (layers + (1 if self.tied else 2) * self.vocabulary * self.width**2) / WEIGHTWATCHER_RATE / 3600

    @property
    def pass_operations(self) -> float:
        """Operations a token of a forward pass without the unembedding."""
        return 24 * self.layers * self.width**2


PAPER = {
    "gpt2": Shape(12, 768, 12, 50257, True, 4),
    "gpt2-medium": Shape(24, 1024, 16, 50257, True, 4),
    "gpt2-large": Shape(36, 1280, 20, 50257, True, 4),
    "gpt2-xl": Shape(48, 1600, 25, 50257, True, 4),
    "pythia-70m-deduped": Shape(6, 512, 8, 50304, False, 2),
    "pythia-160m-deduped": Shape(12, 768, 12, 50304, False, 2),
    "pythia-410m-deduped": Shape(24, 1024, 16, 50304, False, 2),
    "pythia-1b-deduped": Shape(16, 2048, 8, 50304, False, 2),
    "pythia-1.4b-deduped": Shape(24, 2048, 16, 50304, False, 2),
    "pythia-2.8b-deduped": Shape(32, 2560, 32, 50304, False, 2),
}


def operations(shape: Shape, config: dict, n_rows: int) -> dict[str, float]:
    """Float32 operations of a checkpoint's three heavy jobs.

    ``trace``: one pass over all documents. ``influence``: the series' products, 2 T V (4 d + 3 N). ``attention``: whole
    passes over its documents, as many as its layer evaluations make (docs/methods.md): every head and layer three
    times, the random sets once, each from its lowest layer up.
    """
    rows, attention = config["rows"], config["attention"]
    n, heads = shape.layers, shape.heads
    passes = 2 + 1 + 3 * (heads + 1) * (n + 1) / 2 + attention["head_sets"]
    return {
        "trace": shape.pass_operations * rows["documents"] * rows["block_length"],
        "influence": 2.0 * n_rows * shape.vocabulary * (4 * shape.width + 3 * shape.neurons),
        "attention": passes * shape.pass_operations * attention["documents"] * rows["block_length"],
    }


def costs(config: dict, rate: float) -> pd.DataFrame:
    """Of each model in the configuration: download, largest folder, memory, kept results, and hours."""
    n_rows = len(config["rows"]["conditions"]) * config["rows"]["rows_per_condition"]  # conditions overlap: at most
    records = []
    for model in config["models"]:
        shape, n_checkpoints = PAPER[model["name"]], len(model["checkpoints"])
        stored = shape.parameters * shape.stored
        trace = 4 * n_rows * (shape.neurons + shape.width)
        layer = 4 * shape.width * (shape.vocabulary + 2 * shape.neurons)
        hours = {stage: work / rate / 3600 for stage, work in operations(shape, config, n_rows).items()}
        hours["influence"] += n_rows * shape.neurons * shape.vocabulary * SECONDS_A_WORD["accelerator"] / 3600
        records.append(
            {
                "model": model["name"],
                "checkpoints": n_checkpoints,
                "download GiB": n_checkpoints * stored / GIB,
                "a checkpoint GiB": stored / GIB,
                "memory GiB": (4 * shape.parameters + 2 * trace) / GIB + config["influence"]["memory_gib"],
                "results GiB": n_checkpoints * (trace + layer) / GIB,
            }
            | {f"{stage} h": n_checkpoints * value for stage, value in hours.items()}
            | {"weightwatcher core h": n_checkpoints * shape.weightwatcher_hours}
        )
    return pd.DataFrame(records)


def measured_rate() -> float:
    """Float32 operations a second of matrix products on the CPU, one thread."""
    torch.set_num_threads(1)
    a = torch.randn(1024, 1024)
    started = time.perf_counter()
    for _ in range(20):
        a @ a
    return 20 * 2 * 1024**3 / (time.perf_counter() - started)


def compared(run: Path, config: dict) -> pd.DataFrame:
    """Predicted and measured processor seconds of a finished run, summed over checkpoints."""
    rate, records = measured_rate(), []
    n_rows = len(pd.read_parquet(next(run.glob("inputs/rows/*/rows.parquet"))))
    for model in config["models"]:
        tokenizer = next(entry for entry in config["tokenizers"] if entry["name"] == model["tokenizer"])
        sizes = (model["n_layers"], model["hidden_size"], model["n_heads"], tokenizer["vocabulary_size"])
        shape = Shape(*sizes, False, 4)
        beside = {"influence": n_rows * shape.neurons * shape.vocabulary * SECONDS_A_WORD["cpu"]}
        for stage, work in operations(shape, config, n_rows).items():
            files = list(run.glob(f"benchmarks/{stage}/{model['name']}/*.tsv"))
            found = sum(pd.read_csv(file, sep="\t")["cpu_time"].astype(float).sum() for file in files)
            predicted = len(files) * (START[stage] + work / rate + beside.get(stage, 0))
            records.append({"model": model["name"], "stage": stage, "predicted s": predicted, "measured s": found})
    return pd.DataFrame(records).assign(ratio=lambda table: table["measured s"] / table["predicted s"])


def main() -> None:
    """Print one of the two tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=34e12, help="float32 operations a second")
    parser.add_argument("--run", type=Path, help="a finished run: predicted against measured")
    settings = parser.parse_args()
    config = yaml.safe_load((PROJECT / "config.yaml").read_text())
    if settings.run:
        name = re.sub(r"\W", "", settings.run.resolve().name)
        update_config(config, yaml.safe_load((PROJECT / f"config/{name}.yaml").read_text()))
        table = compared(settings.run, config)
    else:
        table = costs(config, settings.rate)
        total = table.drop(columns=["model", "a checkpoint GiB", "memory GiB"]).sum().to_dict()
        table = pd.concat([table, pd.DataFrame([{"model": "all"} | total])])
    print(table.to_markdown(index=False, floatfmt=".2f", missingval=""))


if __name__ == "__main__":
    main()
