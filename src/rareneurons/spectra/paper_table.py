"""Spectra of the groups at the last checkpoint, one measure a row: the numbers of the paper's Table 2."""

import pandas as pd

from rareneurons.tables import beside_controls

TREND = r"^(?P<measure>.+)\.matched\.(?P<trend_of>ratio|difference)\.trend$"


def paper_table(spectra: pd.DataFrame, dynamics: pd.DataFrame) -> pd.DataFrame:
    """The paper's Table 2: each measure of each group's weight rows beside its controls, and its trend.

    Args:
        spectra: the measure's table over models and checkpoints.
        dynamics: trends over training.

    Returns:
        As :func:`beside_controls` lays them out, measures named ``<measure>.<matrix>``; then ``trend``,
        ``trend_ci_low``, ``trend_ci_high``, ``trend_p`` and ``checkpoints``: Spearman's correlation with training step
        of the group's ratio to the mean of its matched groups, or of its difference (``trend_of``). NaN for fewer than
        four checkpoints.
    """
    keys = ["model", "condition", "group", "measure"]
    names = {"value": "trend", "ci_low": "trend_ci_low", "ci_high": "trend_ci_high", "p_value": "trend_p"}
    parts = dynamics["measure"].str.extract(TREND)
    trends = dynamics.assign(**parts)[parts["trend_of"].notna()].rename(columns=names | {"n": "checkpoints"})
    trends = trends.sort_values("trend_of", ascending=False).drop_duplicates(keys)  # a ratio before a difference
    table = beside_controls(spectra, r"[a-z_]+\.[a-z_]+")
    return table.merge(trends[[*keys, *names.values(), "checkpoints", "trend_of"]], on=keys, how="left")
