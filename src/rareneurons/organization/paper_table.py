"""Organization of the groups at the last checkpoint, one measure a row: the numbers of the paper's Table 3."""

import pandas as pd

from rareneurons.tables import IDENTITY, last_checkpoints

KEYS = [*IDENTITY, "condition", "group", "measure"]
NULL_MEAN = ".null_mean"


def paper_table(table: pd.DataFrame) -> pd.DataFrame:
    """Each measure beside all its nulls.

    Args:
        table: the organization of all models and checkpoints, as ``group.organization_frame`` makes it.

    Returns:
        One row per model (at its last checkpoint), condition, group and measure: ``value``, ``ci_low``, ``ci_high``,
        ``n``, ``unit``, ``reason``, and for every null ``null_mean_<null>``, ``p_<null>``, ``q_<null>``.
    """
    table = last_checkpoints(table)
    is_mean = table["measure"].str.endswith(NULL_MEAN)
    full = table["measure"].str.removesuffix(NULL_MEAN).str.split(".", n=1, expand=True).reindex(columns=[0, 1])
    table = table.assign(measure=full[0], null=full[1])
    mine = table[~is_mean]
    found = mine.drop_duplicates(KEYS)[[*KEYS, "value", "ci_low", "ci_high", "n", "unit", "reason"]]
    for null in mine["null"].dropna().unique():
        tests = mine[mine["null"] == null].rename(columns={"p_value": f"p_{null}", "q_value": f"q_{null}"})
        means = table[is_mean & (table["null"] == null)].rename(columns={"value": f"null_mean_{null}"})
        found = found.merge(means[[*KEYS, f"null_mean_{null}"]], how="left", on=KEYS)
        found = found.merge(tests[[*KEYS, f"p_{null}", f"q_{null}"]], how="left", on=KEYS)
    return found
