"""The most influential neurons through training: turnover of the top, and where the final head came from."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from rareneurons.regimes.curve import rank_curve
from rareneurons.regimes.plateau import head_overlap
from rareneurons.tables import MEASURE_COLUMNS


def turnover(influence: pd.DataFrame, top: int) -> pd.DataFrame:
    """Share of the top boost neurons that a checkpoint keeps from the one before, and what documents alone leave.

    Both compare discovery with held-out documents, so that a checkpoint at which nothing changed keeps what two sets
    of documents agree on.

    Args:
        influence: influence tables of all checkpoints of some models and conditions.
        top: size of the tops, by mean abs dL.

    Returns:
        ``MEASURE_COLUMNS``, one row a checkpoint from the second on: ``kept.top_<k>`` (discovery of the checkpoint
        before against held-out of this one and the other way round, their mean) and, for every checkpoint,
        ``kept.top_<k>.same_checkpoint`` (discovery against held-out). NaN where a curve has fewer neurons.
    """
    records = []
    trained = influence[influence["step"] >= 0]
    for (model, condition), part in trained.groupby(["model", "condition"], sort=False):
        before: dict[str, np.ndarray] | None = None
        for (step, checkpoint), here in part.groupby(["step", "checkpoint"]):
            orders = {split: _boost_order(here[here["split"] == split]) for split in ("discovery", "heldout")}
            shares = {f"kept.top_{top}.same_checkpoint": _kept(orders["discovery"], orders["heldout"], top)}
            if before is not None:
                crossed = [(before["discovery"], orders["heldout"]), (before["heldout"], orders["discovery"])]
                shares[f"kept.top_{top}"] = float(np.mean([_kept(*pair, top) for pair in crossed]))
            before = orders
            records += [
                {
                    "model": model,
                    "checkpoint": checkpoint,
                    "step": step,
                    "condition": condition,
                    "group": "boost",
                    "measure": measure,
                    "value": value,
                    "n": top,
                    "unit": "share of the top",
                }
                for measure, value in shares.items()
            ]
    return pd.DataFrame(records, columns=MEASURE_COLUMNS)


def final_head(influence: pd.DataFrame, groups: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """Where the neurons of the last checkpoint's boost groups stood at every checkpoint, and when they came to stay.

    Args:
        influence: influence tables of all checkpoints, one condition, held-out split.
        groups: group tables of each model's last checkpoint.
        names: which groups of boost neurons; a model may lack some.

    Returns:
        ``model, step, group, neuron, final_rank`` (in the group, 1 is the most influential), ``rank_fraction`` (0 the
        most influential of the layer by mean abs dL, 1 the least), ``in_head`` (is it among as many first boost neurons
        as the group has), ``entered`` (first step from which on it always is; NaN where it is not at the last
        checkpoint: other documents chose it). Checkpoints without a step take no part.
    """
    columns = ["model", "step", "group", "neuron", "final_rank", "rank_fraction", "in_head", "entered"]
    parts = []
    trained = influence[influence["step"] >= 0]
    for (model, name), members in groups[groups["group"].isin(names)].groupby(["model", "group"], sort=False):
        members = members.sort_values("rank")
        neurons = members["neuron"].to_numpy()
        found = []
        for step, here in trained[trained["model"] == model].groupby("step"):
            size = here.set_index("neuron")["mean_abs_delta_loss"]
            fraction = (size.rank(ascending=False) - 1) / (len(size) - 1)
            records = {"neuron": neurons, "final_rank": members["rank"].to_numpy()}
            records |= {"rank_fraction": fraction.loc[neurons].to_numpy()}
            records |= {"in_head": np.isin(neurons, _boost_order(here)[: len(neurons)])}
            found.append(pd.DataFrame({"model": model, "step": step, "group": name, **records}))
        if found:
            entered = entry_steps(pd.concat(found, ignore_index=True))
            parts += [part.assign(entered=part["neuron"].map(entered)) for part in found]
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)


def entry_steps(head: pd.DataFrame) -> pd.Series:
    """First step from which on each neuron is in the head at every checkpoint.

    Args:
        head: ``neuron, step, in_head``.

    Returns:
        Step by neuron, NaN for a neuron that is not in the head at the last step.
    """
    inside = head.pivot_table(index="neuron", columns="step", values="in_head").sort_index(axis=1).astype(bool)
    stays = np.logical_and.accumulate(inside.to_numpy()[:, ::-1], axis=1)[:, ::-1]
    first = inside.columns.to_numpy()[stays.argmax(1)].astype(float)
    return pd.Series(np.where(stays[:, -1], first, np.nan), index=inside.index)


def _boost_order(influence: pd.DataFrame) -> np.ndarray:
    ordered = influence.sort_values("neuron")
    mean, mean_abs = ordered["mean_delta_loss"].to_numpy(), ordered["mean_abs_delta_loss"].to_numpy()
    return rank_curve(mean, mean_abs, "boost").neuron


def _kept(first: np.ndarray, second: np.ndarray, top: int) -> float:
    return head_overlap(first[:top], second) if min(len(first), len(second)) >= top else float("nan")
