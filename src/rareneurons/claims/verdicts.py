"""Every claim's rule applied to every model, as a table and in words."""

from collections.abc import Mapping

import pandas as pd

from rareneurons.claims.bounds import Bounds
from rareneurons.claims.clusters import CLUSTERS_CLAIM, clusters_row
from rareneurons.claims.course import COURSE_CLAIM, course_row
from rareneurons.claims.dimension import DIMENSION_CLAIM, dimension_row
from rareneurons.claims.over_training import with_left_out
from rareneurons.claims.plateau import PLATEAU_CLAIMS, plateau_row
from rareneurons.claims.routing import ROUTING_CLAIM, routing_row
from rareneurons.claims.tails import TAIL_CLAIM, tail_row
from rareneurons.tables import CLAIM_COLUMNS

CLAIMS = (*PLATEAU_CLAIMS, DIMENSION_CLAIM, CLUSTERS_CLAIM, ROUTING_CLAIM, COURSE_CLAIM, TAIL_CLAIM)


def decide(tables: Mapping[str, pd.DataFrame], bounds: Bounds) -> pd.DataFrame:
    """One row a claim and model, at the model's last checkpoint.

    Args:
        tables: name of a measure -> its table over all models and checkpoints.
        bounds: decision bounds.

    Returns:
        ``CLAIM_COLUMNS``. ``bound`` is NaN where ``reason`` is "not measured".
    """
    models = [str(model) for model in dict.fromkeys(tables["regimes"]["model"])]
    rows = [plateau_row(claim, model, tables, bounds) for claim in PLATEAU_CLAIMS for model in models]
    rows += [row_of(model, tables, bounds) for row_of in (dimension_row, clusters_row, routing_row) for model in models]
    about_training = [row_of(model, tables, bounds) for row_of in (course_row, tail_row) for model in models]
    rows += [with_left_out(row, tables["audit"]) for row in about_training]
    return pd.DataFrame(rows, columns=CLAIM_COLUMNS)


def claims_markdown(claims: pd.DataFrame) -> str:
    """The verdicts as a short results section."""
    lines = ["# Claims", ""]
    for name, part in claims.groupby("claim", sort=False):
        lines += [f"## {name}", "", *(f"- **{row.verdict}** {row.sentence}" for row in part.itertuples()), ""]
    return "\n".join(lines)
