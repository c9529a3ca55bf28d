"""Does the test of C4 find the experts of a mixture of experts, a positive control: they are divided by construction?

.venv/bin/python benchmarks/experts.py results/<run> <model>/<checkpoint>

The test is done twice, as in measure `organization` for rare targets: on activations, as C4 is about them, and on their
absolute values. A router decides when the neurons of an expert are active at all, and not with which sign.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
from safetensors.numpy import load_file

from rareneurons.conventions import SELECTIVE, TOP
from rareneurons.organization.activations import LayerActivations
from rareneurons.organization.communities import partition_agreement
from rareneurons.organization.divisions import divide, division_test
from rareneurons.rows import in_condition
from rareneurons.stats import empirical_p

CONDITION = "rare"
DRAWS, ROTATIONS, SEEDS = 100, 200, 2
OF = {"activation": np.asarray, "absolute activation": np.abs}


def by_expert(correlation: np.ndarray, expert: np.ndarray) -> tuple[float, float]:
    """Mean of the correlations (n, n) of two neurons of one expert, and of two experts; ``expert`` (n,)."""
    one, other = np.triu_indices(len(expert), 1)
    same, pairs = expert[one] == expert[other], correlation[one, other]
    return float(pairs[same].mean()), float(pairs[~same].mean())


def division_by_expert(
    discovery: np.ndarray, heldout: np.ndarray, document: np.ndarray, expert: np.ndarray, rng: np.random.Generator
) -> dict[str, float]:
    """C4's test of a group, and how its communities agree with the experts.

    Args:
        discovery: (T', n) values of the group's neurons on discovery rows.
        heldout: (T, n) likewise on held-out rows.
        document: (T,) document id of each held-out row.
        expert: (n,) expert of each neuron.
        rng: draws documents, rotations and orders.

    Returns:
        ``separation``, ``rotated`` (mean), ``excess`` with ``ci_low`` and ``ci_high``, ``p_value``; ``agreement``, the
        adjusted Rand index of communities and experts; ``same_expert`` and ``other_expert``, mean correlations on
        held-out rows.
    """
    group = LayerActivations(heldout, document, discovery)
    weights, draws = group.resampled(np.arange(len(expert)), DRAWS, rng)
    test = division_test(group.discovery_correlation, group.correlation, draws, ROTATIONS, SEEDS, rng)
    low, high = test.excess_interval(weights.shape[1])
    communities = divide(group.discovery_correlation[None], SEEDS, rng).labels
    same, other = by_expert(group.correlation, expert)
    return {
        "separation": test.separation,
        "rotated": float(test.null.mean()),
        "excess": test.excess,
        "ci_low": low,
        "ci_high": high,
        "p_value": empirical_p(test.separation, test.null, "greater"),
        "agreement": float(partition_agreement(communities, expert[None])[0]),
        "same_expert": same,
        "other_expert": other,
    }


def table(folder: Path, rows: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """One row per group and kind of value, of a checkpoint's folder."""
    activation = load_file(folder / "trace.safetensors")["activation"]
    expert = load_file(folder / "last_layer.safetensors")["expert"]
    groups = pd.read_parquet(folder / "groups.parquet")
    heldout = in_condition(rows, CONDITION, "heldout")
    discovery, document = in_condition(rows, CONDITION, "discovery"), rows["document"].to_numpy()[heldout]
    records = []
    for name in (TOP, SELECTIVE):
        members = np.sort(groups.loc[groups["group"] == name, "neuron"].to_numpy())
        mine = np.unique(expert[members], return_inverse=True)[1]
        for kind, of in OF.items():
            found = division_by_expert(
                of(activation[discovery][:, members]), of(activation[heldout][:, members]), document, mine, rng
            )
            records.append({"group": name, "of": kind, "experts": int(mine.max()) + 1, **found})
    return pd.DataFrame(records)


def main(run: str, place: str) -> None:
    """Print the table as CSV."""
    rows = pd.read_parquet(next(Path(run).glob("inputs/rows/*/rows.parquet")))
    print(table(Path(run) / place, rows, np.random.default_rng(0)).to_csv(index=False), end="")


if __name__ == "__main__":
    main(*sys.argv[1:])
