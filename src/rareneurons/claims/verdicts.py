"""Every claim's rule applied to every model, and over the models."""

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
import pandas as pd

from rareneurons.claims.bounds import Bounds, Claim
from rareneurons.claims.clusters import CLUSTERS_CLAIM, clusters_finding
from rareneurons.claims.course import COURSE_CLAIM, course_finding
from rareneurons.claims.dimension import DIMENSION_CLAIM, dimension_finding
from rareneurons.claims.findings import Finding, verdict_row
from rareneurons.claims.measured import tables_of
from rareneurons.claims.over_models import over_models
from rareneurons.claims.over_training import with_left_out
from rareneurons.claims.plateau import PLATEAU_CLAIMS, plateau_finding
from rareneurons.claims.routing import ROUTING_CLAIM, routing_finding
from rareneurons.claims.tails import TAIL_CLAIM, tail_finding
from rareneurons.conventions import ALL_MODELS
from rareneurons.tables import CLAIM_COLUMNS

Rule = Callable[[Mapping[str, pd.DataFrame], Bounds], Finding]
RULES: Mapping[Claim, Rule] = {
    **{claim: partial(plateau_finding, claim) for claim in PLATEAU_CLAIMS},
    DIMENSION_CLAIM: dimension_finding,
    CLUSTERS_CLAIM: clusters_finding,
    ROUTING_CLAIM: routing_finding,
    COURSE_CLAIM: course_finding,
    TAIL_CLAIM: tail_finding,
}
CLAIMS = tuple(RULES)
ABOUT_TRAINING = (COURSE_CLAIM, TAIL_CLAIM)


def decide(tables: Mapping[str, pd.DataFrame], bounds: Bounds) -> pd.DataFrame:
    """One row a claim and model, at the model's last checkpoint, and one over all models where there are several.

    Args:
        tables: name of a measure -> its table over all models and checkpoints.
        bounds: decision bounds.

    Returns:
        ``CLAIM_COLUMNS``; ``model`` is ``all`` over models. ``value`` is NaN where ``reason`` is "not measured".
    """
    yes_below = {DIMENSION_CLAIM: 0.0, CLUSTERS_CLAIM: bounds.modularity_margin}
    by_model = {str(model): tables_of(model, tables) for model in tables["regimes"]["model"].unique()}
    rows = []
    for claim, rule in RULES.items():
        mine = [verdict_row(claim, model, rule(numbers, bounds)) for model, numbers in by_model.items()]
        if claim in ABOUT_TRAINING:
            mine = [with_left_out(row, tables["audit"]) for row in mine]
        rows += mine
        if len(mine) > 1:
            finding = over_models(claim, pd.DataFrame(mine), yes_below.get(claim, np.nan))
            rows.append(verdict_row(claim, ALL_MODELS, finding))
    return pd.DataFrame(rows, columns=CLAIM_COLUMNS)
