"""C3 for groups that shuffled labels choose: how often would its rule call them supported?

.venv/bin/python benchmarks/shuffled_choices.py results/<run> <model>/<checkpoint> [groups]        (60 groups)

The groups are the first ones that exchanged labels chose in the run; the others serve as their controls. A claim about
rare tokens must not be supported for more than 5 % of them.
"""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from safetensors.numpy import load_file

from rareneurons.claims import Bounds, View
from rareneurons.claims.dimension import decide_dimension
from rareneurons.conventions import SELECTIVE, TOP, TOP_SIZE
from rareneurons.coordination.estimates import CoordinationSettings, activation_coordination
from rareneurons.groups import (
    MATCH_QUALITY,
    controlled_groups,
    controls_of,
    group_frame,
    match_quality,
    neuron_features,
    shuffled_controls,
)
from rareneurons.influence.label_shuffles import LabelShuffles
from rareneurons.planning.derived_settings import claim_bounds
from rareneurons.rows import in_condition
from rareneurons.stats import document_weights, frame_of_tests
from rareneurons.tables import CheckpointName, measure_frame

CONDITIONS = "rare", "common"
CONTROLS, DRAWS = 400, 100


def chosen_groups(shuffles: LabelShuffles, name: str) -> np.ndarray:
    """The groups (S, n) that each exchange of the labels chooses by a group's rule; shorter ones are left out."""
    found = shuffled_controls({name: np.arange(TOP_SIZE)}, shuffles)
    return np.array([group for group in found.values() if len(group) == TOP_SIZE])


def verdicts(
    folder: Path, rows: pd.DataFrame, name: str, n_groups: int, bounds: Bounds, rng: np.random.Generator
) -> pd.DataFrame:
    """C3 for each of the first groups that shuffled labels choose by the rule of a group.

    Returns:
        ``group``, ``verdict``, ``p_matched``, ``p_shuffled``, and ``mismatch``: the largest standardised difference.
    """
    activation = load_file(folder / "trace.safetensors")["activation"]
    output_weight = load_file(folder / "last_layer.safetensors")["output_weight"]
    features = neuron_features(activation[in_condition(rows, CONDITIONS[0], "discovery")], output_weight)
    heldout = in_condition(rows, CONDITIONS[0], "heldout")
    document = rows["document"].to_numpy()[heldout]
    weights = document_weights(len(np.unique(document)), DRAWS, rng)
    drawn = chosen_groups(LabelShuffles.from_arrays(load_file(folder / "label_shuffles.safetensors")), name)
    settings, checkpoint = CoordinationSettings(row_shares=()), CheckpointName("model", "step0")
    view, found = View(*CONDITIONS, group=name), []
    for members in drawn[:n_groups]:
        frame = group_frame({name: members}, 0, CONDITIONS[0])
        controls = group_frame(controls_of({name: members}, features, CONTROLS, rng), 0, CONDITIONS[0])
        group = controlled_groups(frame, controls)[name]
        group = replace(group, controls={"matched": group.controls["matched"], "shuffled": drawn[n_groups:]})
        estimates, _ = activation_coordination(activation[heldout], document, {name: group}, weights, settings, rng)
        quality = match_quality(CONDITIONS[0], frame, controls, features)
        tables = {
            "groups": frame,
            "coordination": frame_of_tests(checkpoint, [(CONDITIONS[0], *each) for each in estimates]),
            "group_match": measure_frame(checkpoint, [each for each in quality if each[2].measure == MATCH_QUALITY]),
        }
        evidence = (decision := decide_dimension(tables, view, bounds)).evidence
        p_values = {f"p_{kind}": row["p_value"] for kind, row in evidence.measured.items()}
        found.append({"group": name, "verdict": decision.verdict, **p_values, "mismatch": evidence.match.difference})
    return pd.DataFrame(found)


def main(run: str, place: str, n_groups: str = "60") -> None:
    """Print, for the top and for the selective neurons of shuffled labels, verdicts and small p-values."""
    config = yaml.safe_load(Path("config.yaml").read_text())
    bounds, rng = Bounds(**claim_bounds(config)), np.random.default_rng(0)
    rows = pd.read_parquet(next(Path(run).glob("inputs/rows/*/rows.parquet")))
    for name in (TOP, SELECTIVE):
        found = verdicts(Path(run) / place, rows, name, int(n_groups), bounds, rng)
        counts = found["verdict"].value_counts()
        print(f"{name}: {len(found)} groups of shuffled labels at {place}")
        print(
            "  C3 "
            + ", ".join(f"{verdict} {counts.get(verdict, 0)}" for verdict in ("supported", "contradicted", "undecided"))
        )
        for kind in ("matched", "shuffled"):
            print(f"  p <= 0.05 against {kind} groups: {np.mean(found[f'p_{kind}'] <= bounds.alpha):.0%}")
        print(f"  largest standardised difference from matched groups: median {found['mismatch'].abs().median():.2f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
