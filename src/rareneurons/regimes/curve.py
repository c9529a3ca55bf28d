"""The rank-influence curve: neurons of one sign by falling influence, both in logarithms (paper, section 3)."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

Sign = Literal["boost", "suppress"]
Statistic = Literal["mean_abs", "abs_mean"]
SIGNS: tuple[Sign, ...] = ("boost", "suppress")
STATISTICS: tuple[Statistic, ...] = ("mean_abs", "abs_mean")


@dataclass(frozen=True)
class RankCurve:
    """``neuron`` indices from the most influential down, ``ln_rank`` and ``ln_influence``, each (n,)."""

    neuron: np.ndarray
    ln_rank: np.ndarray
    ln_influence: np.ndarray


def rank_curve(mean: np.ndarray, mean_abs: np.ndarray, sign: Sign, statistic: Statistic = "mean_abs") -> RankCurve:
    """Rank-influence curve of the neurons of one sign.

    Args:
        mean: (N,) mean dL, nats.
        mean_abs: (N,) mean abs dL, nats.
        sign: ``boost`` for mean dL > 0 (ablation hurts on average), ``suppress`` for mean dL < 0.
        statistic: influence is ``mean_abs`` (mean of abs dL, the paper's) or ``abs_mean`` (abs of mean dL).
    """
    chosen = np.flatnonzero(mean > 0 if sign == "boost" else mean < 0)
    influence = (mean_abs if statistic == "mean_abs" else np.abs(mean))[chosen]
    chosen, influence = chosen[influence > 0], influence[influence > 0]
    order = np.argsort(-influence, kind="stable")
    return RankCurve(chosen[order], np.log(np.arange(1, len(order) + 1)), np.log(influence[order]))
