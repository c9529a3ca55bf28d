"""Verdicts on what was measured in memory, or on the tables of a run."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from rareneurons.claims import CLAIMS, Bounds, View, decide
from rareneurons.errors import RunError
from rareneurons.inspection.measurements import Measurements
from rareneurons.inspection.texts import PAIR
from rareneurons.models.audit import AUDIT_COLUMNS
from rareneurons.tables import CheckpointName, measure_frame, with_empty_text

# Claims about attention and about training need more than one checkpoint's neurons.
IN_MEMORY = {
    "C1": ("regimes",),
    "C2": ("regimes",),
    "C8": ("joint",),
    "C3": ("coordination", "joint"),
    "C4": ("organization", "joint"),
    "C8s": ("joint",),
    "C3s": ("coordination", "joint"),
    "S1": ("joint", "neuron_types"),
    "P1a": ("coordination", "joint"),
    "P1b": ("regimes",),
    "P2": ("regimes",),
}
OF_NAMED_NEURONS = ("C8", "C3", "C4", "P1a")
BOUNDS = Bounds(
    flatness=0.5,
    excess=1.5,
    plateau_alpha=0.05,
    permutations=2000,
    power=0.8,
    alpha=0.05,
    dimension_reduction=0.125,
    cluster_margin=0.05,
    routing_margin=0.5,
    specialization_margin=0.01,
    abrupt_width=0.69,
    hill_reduction=0.1,
    selectivity_margin=0.02,
    match_difference=0.25,
)


def claims(measured: Measurements | str | Path, bounds: Bounds = BOUNDS) -> pd.DataFrame:
    """A verdict per claim, with the numbers behind it.

    Args:
        measured: what :func:`measure` returned, or the folder of a finished run, ``results/<run>``.
        bounds: decision bounds. The defaults are those of ``config.yaml``, for one checkpoint.

    Returns:
        ``tables.CLAIM_COLUMNS``, and ``group`` first for neurons that the user named. In memory, the claims about
        attention (C5) and training (C6, C7) are left out; for named neurons also those about the curve (C1, C2, P1b,
        P2) and about known types of neurons (C8s, C3s, S1).

    Raises:
        RunError: the folder holds no run, or no measure that decides a claim was computed.

    Examples:
        >>> rareneurons.claims(found)[["group", "claim", "verdict"]].to_dict("records")[0]
        {'group': 'neurons', 'claim': 'C8', 'verdict': 'undecided'}
    """
    if not isinstance(measured, Measurements):
        file = Path(measured) / "claims.csv"
        if not file.is_file():
            raise RunError(f"{measured}: found no claims.csv; expected the folder of a finished run, results/<run>")
        return with_empty_text(pd.read_csv(file))
    tables = _with_empty(measured.tables)
    decidable = [
        claim
        for claim in CLAIMS
        if set(IN_MEMORY.get(claim.name, ("attention",))) <= set(measured.tables)
        and (not measured.names or claim.name in OF_NAMED_NEURONS)
    ]
    if not decidable:
        raise RunError("claims: no measure that decides a claim was computed; expected `joint` among the measures")
    if not measured.names:
        return decide(tables, View(*PAIR), bounds, decidable)
    by_group = [
        decide(tables, View(*PAIR, group=name, shuffled=False), bounds, decidable).assign(group=name)
        for name in measured.names
    ]
    found = pd.concat(by_group, ignore_index=True)
    return found[["group", *found.columns.drop("group")]]


def _with_empty(tables: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """The tables, and those of training and attention without a row."""
    empty = measure_frame(CheckpointName("", ""), [])
    return {"dynamics": empty, "audit": pd.DataFrame(columns=AUDIT_COLUMNS), **tables}
