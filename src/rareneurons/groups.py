"""Named sets of last-MLP neurons: the regimes of the discovery curve, and controls drawn at random."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from rareneurons.regimes import SIGNS, Sign, rank_curve

REGIMES = ("plateau", "power_law", "decay")
SMALLEST_GROUP = 3
RANDOM_PREFIX = "random_"


def group_name(sign: Sign, regime: str) -> str:
    """``plateau`` for boost neurons, ``suppress_plateau`` for suppress neurons, and so on."""
    return regime if sign == "boost" else f"{sign}_{regime}"


def regime_groups(mean: np.ndarray, mean_abs: np.ndarray, cuts: tuple[float, float]) -> dict[str, np.ndarray]:
    """Neurons of each regime of each sign under fixed cuts of ln rank; regimes without neurons are left out.

    Args:
        mean: (N,) mean dL on discovery rows, nats.
        mean_abs: (N,) mean abs dL on discovery rows, nats.
        cuts: ln ranks that end the plateau and the power law.

    Returns:
        Group name -> neuron indices (n,), from the most influential down.
    """
    groups = {}
    for sign in SIGNS:
        curve = rank_curve(mean, mean_abs, sign)
        regime = np.searchsorted(cuts, curve.ln_rank, side="right")
        for number, name in enumerate(REGIMES):
            members = curve.neuron[regime == number]
            if len(members):
                groups[group_name(sign, name)] = members
    return groups


def control_groups(
    groups: Mapping[str, np.ndarray], n_neurons: int, n_controls: int, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Random groups that hold no plateau neuron, as large as the largest plateau group.

    Args:
        groups: the regimes, as :func:`regime_groups` returns them.
        n_neurons: N, neurons of the layer.
        n_controls: number of control groups.
        rng: draws the neurons.

    Returns:
        ``random_0000`` ... -> neuron indices in random order, without repeats within a group.
    """
    plateaus = [members for name, members in groups.items() if name.endswith(REGIMES[0])]
    candidates = np.setdiff1d(np.arange(n_neurons), np.concatenate(plateaus))
    size = min(max(map(len, plateaus)), len(candidates))
    return {f"{RANDOM_PREFIX}{k:04d}": rng.choice(candidates, size=size, replace=False) for k in range(n_controls)}


def group_frame(groups: Mapping[str, np.ndarray], layer: int, condition: str) -> pd.DataFrame:
    """Long table ``condition, group, layer, neuron, rank``; rank 1 is a group's first neuron."""
    records = [
        pd.DataFrame(
            {
                "condition": condition,
                "group": name,
                "layer": layer,
                "neuron": members,
                "rank": np.arange(1, len(members) + 1),
            }
        )
        for name, members in groups.items()
    ]
    return pd.concat(records, ignore_index=True)


def members_by_group(frame: pd.DataFrame) -> dict[str, np.ndarray]:
    """Group name -> neuron indices, in the table's order."""
    return {str(name): part["neuron"].to_numpy() for name, part in frame.groupby("group", sort=False)}


def measured_groups(frame: pd.DataFrame) -> dict[str, tuple[np.ndarray, list[np.ndarray]]]:
    """Plateau groups, each with controls of its own size.

    A control's neurons are in random order, so its first k are a random group of k.

    Args:
        frame: as :func:`group_frame` returns it.

    Returns:
        Name of each plateau group of at least ``SMALLEST_GROUP`` neurons -> (its neurons, controls of
        the same size). Controls too small for the group are left out.
    """
    members = members_by_group(frame)
    controls = [neurons for name, neurons in members.items() if name.startswith(RANDOM_PREFIX)]
    return {
        name: (neurons, [control[: len(neurons)] for control in controls if len(control) >= len(neurons)])
        for name, neurons in members.items()
        if name.endswith(REGIMES[0]) and len(neurons) >= SMALLEST_GROUP
    }


def groups_of_influence(
    influence: pd.DataFrame,
    condition: str,
    cuts: tuple[float, float],
    n_controls: int,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Regimes and controls of one checkpoint, chosen on the discovery split.

    Args:
        influence: the checkpoint's influence table.
        condition: neurons are ranked by their influence on these rows.
        cuts: the fixed cuts, ln rank.
        n_controls: number of random groups.
        rng: draws the controls.

    Returns:
        As :func:`group_frame`.
    """
    chosen = influence[(influence["condition"] == condition) & (influence["split"] == "discovery")]
    chosen = chosen.sort_values("neuron")
    mean, mean_abs = chosen["mean_delta_loss"].to_numpy(), chosen["mean_abs_delta_loss"].to_numpy()
    groups = regime_groups(mean, mean_abs, cuts)
    controls = control_groups(groups, len(chosen), n_controls, rng)
    return group_frame(groups | controls, int(chosen["layer"].iloc[0]), condition)
