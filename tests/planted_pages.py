"""What pages are made of: two checkpoints of forty neurons, a small run, and texts that try to be markup."""

import io
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from plotly.offline import get_plotlyjs

from rareneurons.examples.search import KINDS
from rareneurons.report.examples import examples_script
from rareneurons.report.neurons import DescribedNeurons, NeuronPage, neuron_frame
from rareneurons.report.run_report import run_report
from rareneurons.tables import CLAIM_COLUMNS

HOSTILE = [
    "<script>alert(1)</script>",
    "</script><img src=x onerror=alert(2)>",
    "&lt;b&gt;",
    '"',
    "␣the",
    "\\u2028",
    "#",
]
TOKENS = 3 + 10 * np.arange(len(HOSTILE))
N_NEURONS = 40


def checkpoint_tables(rng: np.random.Generator, scale: float) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Influence, properties and groups; neuron 7 is the largest, neuron 9 has no effect."""
    effects = []
    for condition, factor in (("rare", 1.0), ("common", 0.3)):
        for split in ("discovery", "heldout"):
            size = scale * factor * np.exp(rng.normal(size=N_NEURONS))
            size[7] = 50 * scale * factor
            size[9] = 0
            signs = np.where(np.arange(N_NEURONS) % 3, 1, -1)
            effects.append(
                pd.DataFrame(
                    {
                        "layer": 3,
                        "neuron": np.arange(N_NEURONS),
                        "condition": condition,
                        "split": split,
                        "n_rows": 800,
                        "n_documents": 120,
                        "mean_delta_loss": signs * size * 0.8,
                        "mean_abs_delta_loss": size,
                        "se_delta_loss": size / 10,
                        "se_abs_delta_loss": size / 20,
                    }
                )
            )
    neurons = pd.DataFrame(
        {
            "layer": 3,
            "neuron": np.arange(N_NEURONS),
            "null_space_share": rng.uniform(size=N_NEURONS),
            "frequency_share": rng.uniform(size=N_NEURONS),
            "promoted": list(rng.permuted(np.tile(TOKENS, (N_NEURONS, 1)), axis=1)[:, :3]),
            "suppressed": list(rng.permuted(np.tile(TOKENS, (N_NEURONS, 1)), axis=1)[:, :3]),
        }
    )
    neurons["promoted"] = [TOKENS[:3] if n == 7 else found for n, found in enumerate(neurons["promoted"])]
    groups = [("plateau", 7), ("top_33", 7), *(("power_law", n) for n in (1, 2, 4)), ("suppress_decay", 3)]
    return pd.concat(effects), neurons, pd.DataFrame(groups, columns=["group", "neuron"])


def neuron_frames() -> dict[str, pd.DataFrame]:
    rng = np.random.default_rng(0)
    return {
        name: neuron_frame(*checkpoint_tables(rng, scale), ["rare", "common"])
        for name, scale in (("step0", 1e-5), ("step16", 1e-3))
    }


def planted_examples() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Six examples per kind of neurons 2 and 7: twelve tokens, of which the sixth is the row's own; and five tokens.

    The activation is the largest at the row's own token, the change of loss at the one after it; the target is hostile.
    """
    examples = []
    for neuron in (2, 7):
        for kind in KINDS:
            for rank in range(1, 7):
                sign = -1 if kind in ("lowest_activation", "hurts_most") else 1
                text = ["<|endoftext|>", *("␣the" for _ in range(5)), HOSTILE[1], *("x" for _ in range(5))]
                change = np.full(12, 0.01)
                change[[5, 11]] = sign * 0.5 / rank, np.nan
                numbers = {"loss": 3.25, "activation": sign * 2.5, "delta_loss": change[5]}
                numbers |= {"window_start": 0, "window_row": 5, "window_text": text}
                activation = np.where(np.arange(12) == 5, sign * 2.5, -0.3)
                numbers |= {"window_activation": activation, "window_delta_loss": change}
                place = {"document": 40 + rank, "position": 5}
                examples.append({"neuron": neuron, "kind": kind, "rank": rank, **place, **numbers})
    tokens = pd.DataFrame(
        {
            "neuron": 7,
            "target_text": [HOSTILE[0], "twice", "once", "hurt", "third"],
            "n_rows": [5, 3, 1, 4, 3],
            "n_documents": [4, 2, 1, 3, 2],
            "mean_delta_loss": [0.1, 0.2, 0.9, -0.4, 0.05],
            "se_delta_loss": [0.01, 0.02, np.nan, 0.1, 0.01],
        }
    )
    return pd.DataFrame(examples), tokens


def write_planted_page(folder: Path, model: str = "tiny", described: bool = True) -> Path:
    """A page with everything that it loads; returns its address."""
    (folder / model).mkdir(parents=True, exist_ok=True)
    page = NeuronPage(model, ["rare", "common"], model)
    for name, frame in neuron_frames().items():
        (folder / model / f"{name}.js").write_text(page.add(name, frame), encoding="utf-8")
    examples, tokens = planted_examples()
    (folder / model / "examples.js").write_text(examples_script("step16", examples, tokens), encoding="utf-8")
    groups = pd.DataFrame(
        {"group": ["top_33", "top_33", "plateau", "decay"], "neuron": [7, 2, 7, 1], "rank": [1, 2, 1, 1]}
    )
    text = dict(zip(TOKENS.tolist(), HOSTILE, strict=True))
    colours = {"plateau": "#CC79A7", "power_law": "#009E73"}
    pages = {"tiny": "tiny.html", "other": "other.html"}
    shown = DescribedNeurons.of("step16", groups, examples) if described else None
    (folder / f"{model}.html").write_text(page.html(text, colours, pages, shown), encoding="utf-8")
    (folder / "plotly.min.js").write_text(get_plotlyjs(), encoding="utf-8")
    return folder / f"{model}.html"


def write_large_page(folder: Path, n_neurons: int, n_checkpoints: int) -> Path:
    """A page of that size, in which all neurons have effects, and three groups; returns its address."""
    rng, n_tokens = np.random.default_rng(0), 50_000
    (folder / "large").mkdir(parents=True, exist_ok=True)
    page = NeuronPage("large", ["rare", "common"], "large")
    for checkpoint in range(n_checkpoints):
        numbers = {"layer": np.full(n_neurons, 31), "neuron": np.arange(n_neurons)}
        for condition in ("rare", "common"):
            size = 1e-4 * (checkpoint + 1) * np.exp(rng.normal(size=n_neurons) * 1.5)
            numbers |= {
                f"{condition}.mean_delta_loss": size * rng.uniform(-1, 1, n_neurons),
                f"{condition}.se_delta_loss": size / 10,
                f"{condition}.mean_abs_delta_loss": size,
                f"{condition}.se_abs_delta_loss": size / 20,
                f"{condition}.n_rows": np.full(n_neurons, 5000),
                f"{condition}.n_documents": np.full(n_neurons, 3000),
            }
        numbers |= {name: rng.uniform(size=n_neurons) for name in ("null_space_share", "frequency_share")}
        numbers |= {side: list(rng.integers(0, n_tokens, (n_neurons, 8))) for side in ("promoted", "suppressed")}
        group = np.array(["plateau", "power_law", "decay"])[np.searchsorted([33, 3000], np.arange(n_neurons), "right")]
        frame = pd.DataFrame(numbers | {"group": group, "groups": [(name,) for name in group]})
        (folder / f"large/step{checkpoint}.js").write_text(page.add(f"step{checkpoint}", frame), encoding="utf-8")
    colours = {"plateau": "#CC79A7", "power_law": "#009E73", "decay": "#E69F00"}
    text = {token: f"token{token}" for token in range(n_tokens)}
    (folder / "large.html").write_text(page.html(text, colours, {"large": "large.html"}), encoding="utf-8")
    (folder / "plotly.min.js").write_text(get_plotlyjs(), encoding="utf-8")
    return folder / "large.html"


def png(width: int = 600, height: int = 300) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (width, height), "white").save(file, "PNG")
    return file.getvalue()


def claim(name: str, model: str, verdict: str, **others) -> dict:
    row = dict.fromkeys(CLAIM_COLUMNS, np.nan) | {"claim": name, "model": model, "verdict": verdict}
    row |= {
        "statistic": f"{name}.statistic",
        "rule": f"rule of {name}",
        "evidence": "0.4",
        "sentence": f"{name} is {verdict}.",
    }
    return row | others


def run_parts() -> dict:
    """Arguments of ``run_report``: three claims, two models, a figure and a table that no section names."""
    claims = [
        claim("C1", "small", "supported", value=0.12345, ci_low=0.1, ci_high=0.2, p_value=0.01234, n=1600, bound=0.5),
        claim(
            "C1",
            "large",
            "contradicted",
            value=-3.0,
            ci_low=-4.0,
            ci_high=-2.0,
            p_value=0.5,
            n=12,
            power=0.25,
            bound=0.5,
        ),
        claim("C3", "small", "undecided", value=1.0, evidence=HOSTILE[1]),
        claim("C3", "large", "undecided", sentence=HOSTILE[0], evidence="no_place_to_break_" * 9),
    ]
    wide = pd.DataFrame({f"a_long_column_name_{i}": np.arange(10) + 0.5 for i in range(30)})
    audit = pd.DataFrame({"checkpoint": ["step0", "step1"], "finding": ["ok", "ok"]})
    provenance = pd.DataFrame(
        {"subject": ["run", "small/step0"], "item": ["seed", "commit"], "value": ["0", "abc"]},
    )
    tables = {"regimes": (wide, 4000), "audit": (audit, 2), "provenance": (provenance, 2), "novel": (wide, 10)}
    benchmarks = pd.DataFrame(
        {
            "rule": ["attention", "influence", "attention"],
            "s": [3.0, 100.0, 5.0],
            "cpu_time": [2.0, 90.0, 4.0],
            "max_rss": [700.0, 300.0, 500.0],
        }
    )
    return {
        "run": "planted",
        "claims": pd.DataFrame(claims),
        "figures": {"rank_influence": png(), "new_figure": png(3000, 400)},
        "tables": tables,
        "captions": {
            "workflow": "Seed {{ snakemake.config['seed'] }}, after *a paper*.",
            "rank_influence": "``code`` with {{ snakemake.config['rows']['documents'] }} documents & more.",
        },
        "benchmarks": benchmarks,
        "config": {"seed": 7, "rows": {"documents": 300}, "run": HOSTILE[0]},
        "neuron_pages": {"small": "neurons/small.html"},
    }


def planted_report(**changes) -> str:
    return run_report(**(run_parts() | changes))
