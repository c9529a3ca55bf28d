"""C4: do plateau neurons form no discrete clusters?"""

import numpy as np

from rareneurons.claims.bounds import Bounds
from rareneurons.claims.decision import Decision, Statistic, Verdict, unmeasured
from rareneurons.claims.interval import Interval
from rareneurons.claims.requirements import NothingPromising, Option, more_documents, more_neurons
from rareneurons.claims.view import Tables, View
from rareneurons.tables import DIFFERENCE, VALUE

TABLE, MODULARITY = "organization", "signed_modularity"


def decide_clusters(tables: Tables, view: View, bounds: Bounds) -> Decision:
    """C4: is modularity above the controls' mean by less, or by more, than the smallest relevant difference?"""
    top, margin = view.top_group(tables), bounds.modularity_margin
    statistic = Statistic(MODULARITY, top.name, view.condition, view.split, quantity=DIFFERENCE, against=view.controls)
    number = view.finder(tables[TABLE], top.name, MODULARITY, against=view.controls)(VALUE)
    if number is None:
        return unmeasured(statistic, margin, top, absent_from=TABLE)
    if not np.isfinite([number["value"], number["null_mean"]]).all():
        return unmeasured(statistic, margin, top, reason=str(number["reason"]))
    difference = Interval.of(number).minus(number["null_mean"])
    verdict: Verdict = "undecided"
    if difference.ci_high < margin:
        verdict = "supported"
    elif difference.ci_low > margin and number["q_value"] <= bounds.alpha:
        verdict = "contradicted"
    if difference.ci_low > margin:
        needed = more_neurons(difference.value, number, bounds.alpha, top.size, sides=2)
        option = Option((needed or NothingPromising(difference.value, margin, "heldout"),))
    else:
        option = Option((more_documents(difference, "heldout", number["n"], above=margin, below=margin),))
    return Decision(
        verdict,
        statistic,
        number,
        (option,),
        difference,
        number["q_value"],
        number["n"],
        bound=margin,
        neurons=top,
    )
