"""A finished run, as far as the export reads it, small and made by hand."""

from pathlib import Path

import numpy as np
import pandas as pd

MODEL, CHECKPOINT, LAYER = "neox-tiny", "step16", 1
IDENTITY = {"model": MODEL, "checkpoint": CHECKPOINT, "step": 16, "layer": LAYER}
N_NEURONS = 6
KINDS = {"highest_activation": [(0, 4), (2, 5)], "helps_most": [(0, 4), (1, 3)]}  # (block, position) by rank
WORDS = {3: ["⟨|endoftext|⟩", "␣the", "↵", "␣n"], 4: ["a", "␣b", "⇥c", "␣d", "e"], 5: ["␣x", "y", "z"]}
HELPED = {7: "␣graph", 8: "␣node", 9: "␣edge"}


def top_examples(neurons: list[int]) -> pd.DataFrame:
    records = []
    for neuron in neurons:
        for kind, places in KINDS.items():
            for rank, (block, position) in enumerate(places, 1):
                words = WORDS[position]
                activation = np.linspace(-1, 1, len(words), dtype=np.float32) * (neuron + 1) * (block + 1)
                change = np.full(len(words), 0.25, dtype=np.float32)
                change[-1] = np.nan
                records.append(
                    IDENTITY
                    | {"neuron": neuron, "kind": kind, "rank": rank, "document": 10 * block, "block": block}
                    | {"position": position, "conditions": ["rare"], "target": 7, "target_text": HELPED[7]}
                    | {"loss": 3.5, "activation": float(activation[1]), "delta_loss": 0.25, "window_start": 2}
                    | {"window_row": 1, "window_tokens": list(range(len(words))), "window_text": words}
                    | {"window_activation": activation, "window_delta_loss": change}
                )
    return pd.DataFrame(records)


def token_effects(neurons: list[int]) -> pd.DataFrame:
    numbers = [
        (neuron, token, text, 0.5 - 0.4 * place)
        for neuron in neurons
        for place, (token, text) in enumerate(HELPED.items())
    ]
    table = pd.DataFrame(numbers, columns=["neuron", "target", "target_text", "mean_delta_loss"])
    table = table.assign(**IDENTITY, condition="rare", split="heldout", n_rows=3, n_documents=2, se_delta_loss=0.1)
    return table[[*IDENTITY, "neuron", *table.columns.difference([*IDENTITY, "neuron"])]]


def influence() -> pd.DataFrame:
    records = [
        IDENTITY
        | {"neuron": neuron, "condition": condition, "split": split, "n_rows": 40, "n_documents": 8}
        | {"mean_delta_loss": 0.01 * neuron, "mean_abs_delta_loss": 0.02, "se_delta_loss": 0.001}
        | {"se_abs_delta_loss": 0.001}
        for neuron in range(N_NEURONS)
        for condition in ("rare", "common")
        for split in ("discovery", "heldout")
    ]
    return pd.DataFrame(records)


def write_run(folder: Path, neurons: list[int]) -> Path:
    """A run ``results/tiny`` whose model has these neurons with examples."""
    run = folder / "results/tiny"
    last = run / MODEL / CHECKPOINT
    last.mkdir(parents=True)
    top_examples(neurons).to_parquet(last / "top_examples.parquet", index=False)
    token_effects(neurons).to_parquet(last / "token_effects.parquet", index=False)
    influence().to_parquet(last / "influence.parquet", index=False)
    one = pd.DataFrame([IDENTITY | {"neuron": neurons[0]}])
    one.assign(condition="rare", group="top_33", rank=1).to_parquet(last / "groups.parquet", index=False)
    one.assign(output_norm=2.0, promoted=[[1, 2]], suppressed=[[3]]).to_parquet(last / "neurons.parquet", index=False)
    first = run / MODEL / "step0"
    first.mkdir()
    influence().assign(checkpoint="step0", step=0).to_parquet(first / "influence.parquet", index=False)
    claims = pd.DataFrame({"claim": ["C8", "C8"], "model": [MODEL, "other"], "verdict": "undecided", "sentence": "No."})
    claims.to_csv(run / "claims.csv", index=False)
    (run / "tables").mkdir()
    origin = [("run", "seed", "0"), (f"{MODEL}/{CHECKPOINT}", "license", "mit"), (f"{MODEL}/step0", "commit", "no")]
    pd.DataFrame(origin, columns=["subject", "item", "value"]).to_csv(run / "tables/provenance.csv", index=False)
    return run
