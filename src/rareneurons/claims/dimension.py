"""C3: do plateau neurons act together?"""

from rareneurons.claims.below_controls import below_controls
from rareneurons.claims.bounds import Bounds
from rareneurons.claims.decision import Decision, Statistic, unmeasured
from rareneurons.claims.view import Tables, View
from rareneurons.tables import DIFFERENCE, VALUE

TABLE, DIMENSION = "coordination", "effective_dimension"


def decide_dimension(tables: Tables, view: View, bounds: Bounds) -> Decision:
    """C3: the effective dimension against control groups, by adjusted p for a yes and by interval for a no."""
    top, bound = view.top_group(tables), -bounds.dimension_reduction
    statistic = Statistic(DIMENSION, top.name, view.condition, view.split, quantity=DIFFERENCE, against=view.controls)
    find = view.finder(tables[TABLE], top.name, DIMENSION, against=view.controls)
    number = find(VALUE)
    n = 0 if number is None else number["n"]
    found = below_controls(find, top.size, bounds.alpha, bounds.dimension_reduction, "heldout", n)
    if found is None:
        return unmeasured(statistic, bound, top, absent_from=TABLE)
    if found.measured is None:
        return unmeasured(statistic, bound, top, reason=found.reason)
    return Decision(
        found.answer,
        statistic,
        found,
        found.options,
        found.relative,
        found.p_value,
        n,
        bound=bound,
        neurons=top,
    )
