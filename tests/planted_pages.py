"""What pages are made of: two checkpoints of forty neurons, a small run, and texts that try to be markup."""

import io

import numpy as np
import pandas as pd
from PIL import Image

from rareneurons.report.neurons import neuron_frame, neuron_page
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


def planted_neuron_page() -> str:
    colours = {"plateau": "#CC79A7", "power_law": "#009E73"}
    pages = {"tiny": "tiny.html", "other": "other.html"}
    return neuron_page(
        "tiny", neuron_frames(), dict(zip(TOKENS.tolist(), HOSTILE, strict=True)), ["rare", "common"], colours, pages
    )


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
