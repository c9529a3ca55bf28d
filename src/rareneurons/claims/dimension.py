"""C3: do plateau neurons act together?"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from rareneurons.claims.bounds import Bounds, Claim
from rareneurons.claims.findings import Finding, unmeasured
from rareneurons.claims.matched import FAMILY, below_matched
from rareneurons.claims.measured import finder, head_of, percent
from rareneurons.claims.needs import Sample

DIMENSION_CLAIM = Claim(
    "C3",
    "Plateau neurons act together: reduced effective dimension",
    "coordination",
    "effective_dimension.matched",
    "effective dimension less that of matched groups (as a share of theirs)",
)


def dimension_finding(tables: Mapping[str, pd.DataFrame], bounds: Bounds) -> Finding:
    """C3: the effective dimension against matched groups, by adjusted p for a yes and by interval for a no."""
    claim, head, condition = DIMENSION_CLAIM, head_of(tables, bounds), bounds.condition
    statistic = f"{claim.measure}.difference over the matched mean ({head.group}, {condition})"
    rule = (
        f"supported if the adjusted p is at most {bounds.alpha:g} and the dimension below the matched groups' mean; "
        f"contradicted if a reduction by {percent(bounds.dimension_reduction)} of that mean is excluded by the "
        f"interval and would lie outside the central 95 % of these groups; {FAMILY}; n counts held-out rows"
    )
    find, bound = finder(head.group, claim.measure, tables[claim.table], condition), -bounds.dimension_reduction
    number = find("")
    n = 0 if number is None else number["n"]
    sample = Sample("held-out documents", n)
    found = below_matched(find, head, bounds.alpha, bounds.dimension_reduction, sample)
    if found is None:
        return unmeasured(statistic, rule, bound, f"{head.words} have no row in tables/{claim.table}.csv")
    if not np.isfinite(found.relative["value"]):
        return unmeasured(statistic, rule, bound, found.told)
    relative = found.relative
    bound_said = f", where {percent(bounds.dimension_reduction)} fewer would matter" * (found.answer != "supported")
    plain = (
        f"the activity of {head.words} has {percent(abs(relative['value']))} "
        f"{'fewer' if relative['value'] < 0 else 'more'} dimensions than that of matched groups (95 % interval "
        f"{percent(relative['ci_low'], '+')} to {percent(relative['ci_high'], '+')}; {n:,.0f} rows; adjusted p = "
        f"{found.p_value:.2g}){bound_said}"
    )
    told = f"effective dimension over number of neurons {found.told}"
    return Finding(found.answer, statistic, plain, rule, told, found.need, relative, found.p_value, n, bound)
