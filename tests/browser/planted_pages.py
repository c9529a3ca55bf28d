"""Tables that pages are made of: two checkpoints of forty neurons, tokens that try to be markup."""

import numpy as np
import pandas as pd

from rareneurons.report.neurons import neuron_frame

HOSTILE = [
    "<script>alert(1)</script>",
    "</script><img src=x onerror=alert(2)>",
    "&lt;b&gt;",
    '"',
    "␣the",
    "\\u2028",
    "#",
]
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
            "promoted": list(rng.permuted(np.tile(np.arange(7), (N_NEURONS, 1)), axis=1)[:, :3]),
            "suppressed": list(rng.permuted(np.tile(np.arange(7), (N_NEURONS, 1)), axis=1)[:, :3]),
        }
    )
    neurons["promoted"] = [[0, 1, 2] if n == 7 else found for n, found in enumerate(neurons["promoted"])]
    groups = [("plateau", 7), ("fixed_plateau", 7), *(("power_law", n) for n in (1, 2, 4)), ("suppress_decay", 3)]
    return pd.concat(effects), neurons, pd.DataFrame(groups, columns=["group", "neuron"])


def neuron_frames() -> dict[str, pd.DataFrame]:
    rng = np.random.default_rng(0)
    return {
        name: neuron_frame(*checkpoint_tables(rng, scale), ["rare", "common"])
        for name, scale in (("step0", 1e-5), ("step16", 1e-3))
    }
