"""The numbers of the paper's Table 2: spectra of the groups at the last checkpoint, one row per measure and matrix."""

import pandas as pd

from rareneurons.groups import CONTROL_KINDS
from rareneurons.tables import DIFFERENCE, RATIO, beside_controls, over_training

TRENDS = {over_training(RATIO, "trend"): RATIO, over_training(DIFFERENCE, "trend"): DIFFERENCE}  # a ratio comes first


def paper_table(spectra: pd.DataFrame, dynamics: pd.DataFrame) -> pd.DataFrame:
    """The paper's Table 2: each measure of each group's weight rows beside its controls, with its trend.

    Args:
        spectra: the measure's table over models and checkpoints.
        dynamics: trends over training.

    Returns:
        The columns of :func:`beside_controls`, where ``part`` is the weight matrix; then ``trend``, ``trend_ci_low``,
        ``trend_ci_high``, ``trend_p``, ``checkpoints`` and ``trend_of``. A trend is Spearman's correlation with
        training step of the group's ``ratio`` to the mean of its matched groups or, where there is no ratio, of its
        ``difference`` from it (``trend_of``). NaN for fewer than four checkpoints.
    """
    keys = ["model", "condition", "group", "measure", "part"]
    names = {"value": "trend", "ci_low": "trend_ci_low", "ci_high": "trend_ci_high", "p_value": "trend_p"}
    compared = dynamics[dynamics["against"] == "matched"]
    trends = pd.concat([compared[compared["quantity"] == name].assign(trend_of=of) for name, of in TRENDS.items()])
    trends = trends.drop_duplicates(keys).rename(columns=names | {"n": "checkpoints"})
    table = beside_controls(spectra, CONTROL_KINDS)
    return table.merge(trends[[*keys, *names.values(), "checkpoints", "trend_of"]], on=keys, how="left")
