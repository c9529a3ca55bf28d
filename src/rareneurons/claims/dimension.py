"""C3: do the top neurons act together?"""

from rareneurons.claims.below_controls import below_controls, null_kinds, worst_match
from rareneurons.claims.bounds import Bounds
from rareneurons.claims.decision import Decision, Statistic, unmeasured
from rareneurons.claims.view import Finder, Tables, View
from rareneurons.groups import ControlKind
from rareneurons.tables import DIFFERENCE, VALUE

TABLE, DIMENSION = "coordination", "effective_dimension"


def decide_dimension(tables: Tables, view: View, bounds: Bounds) -> Decision:
    """C3: the effective dimension compared with control groups, by p for a yes and by interval for a no."""
    top, bound = view.top_group(tables), -bounds.dimension_reduction
    statistic = Statistic(DIMENSION, top.name, view.condition, view.split, quantity=DIFFERENCE, against=view.controls)

    def find(kind: ControlKind) -> Finder:
        return view.finder(tables[TABLE], top.name, DIMENSION, against=kind)

    number = find(view.controls)(VALUE)
    n = 0 if number is None else number["n"]
    match = worst_match(tables, view, top.name, bounds.match_difference)
    wanted = bounds.alpha, bounds.dimension_reduction
    found = below_controls(find, null_kinds(view), match, top.size, *wanted, "heldout", n)
    if found is None:
        return unmeasured(statistic, bound, top, absent_from=TABLE)
    if not found.measured:
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
