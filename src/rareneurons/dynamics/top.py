"""The most influential neurons through training: turnover of the top, and the history of the final top neurons."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from rareneurons.regimes.curve import rank_curve
from rareneurons.regimes.estimates import top_part
from rareneurons.regimes.plateau import share_kept
from rareneurons.tables import MEASURE_COLUMNS, VALUE

KEPT, KEPT_ON_SAME_CHECKPOINT = "kept", "kept_on_same_checkpoint"


def turnover(influence: pd.DataFrame, top: int) -> pd.DataFrame:
    """Share of the top boost neurons that a checkpoint keeps from the one before, and turnover due to documents alone.

    Both compare discovery with held-out documents. A checkpoint at which nothing changed therefore keeps what two sets
    of documents agree on.

    Args:
        influence: influence tables of all checkpoints of some models and conditions.
        top: size of the tops, by mean abs dL.

    Returns:
        ``MEASURE_COLUMNS``, part ``top_<k>``. One row of ``kept`` per checkpoint from the second on: the mean of
        discovery of the checkpoint before with held-out of this one, and the other way round. One row of
        ``kept_on_same_checkpoint`` per checkpoint: discovery with held-out. NaN where a curve has fewer neurons.
    """
    records = []
    trained = influence[influence["step"] >= 0]
    for (model, condition), part in trained.groupby(["model", "condition"], sort=False):
        before: dict[str, np.ndarray] | None = None
        for (step, checkpoint), here in part.groupby(["step", "checkpoint"]):
            orders = {split: _boost_order(here[here["split"] == split]) for split in ("discovery", "heldout")}
            shares = {KEPT_ON_SAME_CHECKPOINT: _kept(orders["discovery"], orders["heldout"], top)}
            if before is not None:
                crossed = [(before["discovery"], orders["heldout"]), (before["heldout"], orders["discovery"])]
                shares[KEPT] = float(np.mean([_kept(*pair, top) for pair in crossed]))
            before = orders
            common = {"model": model, "checkpoint": checkpoint, "step": step, "condition": condition, "group": "boost"}
            common |= {"part": top_part(top), "quantity": VALUE, "against": "", "n": top}
            common |= {"unit": "share of the top", "reason": ""}
            records += [common | {"measure": measure, "value": value} for measure, value in shares.items()]
    return pd.DataFrame(records, columns=MEASURE_COLUMNS)


def final_top(influence: pd.DataFrame, groups: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """Rank of the last checkpoint's top neurons at every checkpoint, and when each entered the top set for good.

    Args:
        influence: influence tables of all checkpoints, one condition, held-out split.
        groups: group tables of each model's last checkpoint.
        names: which groups of boost neurons; a model may lack some.

    Returns:
        ``model, step, group, neuron``; ``final_rank`` (in the group, 1 is the most influential); ``rank_fraction`` (in
        the layer by mean abs dL, 0 is the most influential neuron, 1 the least); ``in_top`` (whether it is among as
        many first boost neurons as the group has); ``entered`` (first step from which on it always is). ``entered`` is
        NaN for a neuron that is not in the top at the last checkpoint, since other documents chose it. Checkpoints
        without a step take no part.
    """
    columns = ["model", "step", "group", "neuron", "final_rank", "rank_fraction", "in_top", "entered"]
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
            records |= {"in_top": np.isin(neurons, _boost_order(here)[: len(neurons)])}
            found.append(pd.DataFrame({"model": model, "step": step, "group": name, **records}))
        if found:
            entered = entry_steps(pd.concat(found, ignore_index=True))
            parts += [part.assign(entered=part["neuron"].map(entered)) for part in found]
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)


def entry_steps(top: pd.DataFrame) -> pd.Series:
    """First step from which on each neuron is in the top set at every checkpoint.

    Args:
        top: ``neuron, step, in_top``.

    Returns:
        Step by neuron, NaN for a neuron that is not in the top set at the last step.
    """
    inside = top.pivot_table(index="neuron", columns="step", values="in_top").sort_index(axis=1).astype(bool)
    stays = np.logical_and.accumulate(inside.to_numpy()[:, ::-1], axis=1)[:, ::-1]
    first = inside.columns.to_numpy()[stays.argmax(1)].astype(float)
    return pd.Series(np.where(stays[:, -1], first, np.nan), index=inside.index)


def _boost_order(influence: pd.DataFrame) -> np.ndarray:
    ordered = influence.sort_values("neuron")
    mean, mean_abs = ordered["mean_delta_loss"].to_numpy(), ordered["mean_abs_delta_loss"].to_numpy()
    return rank_curve(mean, mean_abs, "boost").neuron


def _kept(first: np.ndarray, second: np.ndarray, top: int) -> float:
    return share_kept(first[:top], second) if min(len(first), len(second)) >= top else float("nan")
