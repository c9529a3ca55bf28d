"""Every claim's rule applied to every model, and over the models."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import pandas as pd

from rareneurons.claims.bounds import Bounds
from rareneurons.claims.clusters import decide_clusters
from rareneurons.claims.course import decide_course
from rareneurons.claims.decision import Decision
from rareneurons.claims.dimension import decide_dimension
from rareneurons.claims.over_models import over_models
from rareneurons.claims.plateau import decide_common_curve, decide_rare_curve
from rareneurons.claims.routing import decide_routing
from rareneurons.claims.sentences import claim_texts
from rareneurons.claims.tails import decide_tails
from rareneurons.claims.view import Tables, View, tables_of
from rareneurons.conventions import ALL_MODELS
from rareneurons.models.audit import left_out_note
from rareneurons.tables import CLAIM_COLUMNS

Rule = Callable[[Tables, View, Bounds], Decision]


@dataclass(frozen=True)
class Claim:
    """A claim of the paper and the ``rule`` that decides it for one model.

    ``mean_supports_below``: function of the bounds for a claim whose number models can be averaged over; a mean below
    it supports the claim. ``about_training``: whether checkpoints that the audit left out belong to the evidence.
    """

    name: str
    rule: Rule
    mean_supports_below: Callable[[Bounds], float] | None = None
    about_training: bool = False


CLAIMS = (
    Claim("C1", decide_rare_curve),
    Claim("C2", decide_common_curve),
    Claim("C3", decide_dimension, mean_supports_below=lambda bounds: 0.0),
    Claim("C4", decide_clusters, mean_supports_below=lambda bounds: bounds.cluster_margin),
    Claim("C5", decide_routing),
    Claim("C6", decide_course, about_training=True),
    Claim("C7", decide_tails, about_training=True),
)


def decisions(claim: Claim, by_model: Mapping[str, Tables], view: View, bounds: Bounds) -> dict[str, Decision]:
    """The decision on a claim for each model and, where there are several, over ``ALL_MODELS``.

    Args:
        claim: the claim.
        by_model: model -> what verdicts on it look at, see :func:`tables_of`.
        view: which neurons, controls, rows and documents.
        bounds: decision bounds.
    """
    found = {model: claim.rule(tables, view, bounds) for model, tables in by_model.items()}
    if len(found) < 2:
        return found
    below = claim.mean_supports_below
    return found | {ALL_MODELS: over_models(found, None if below is None else below(bounds))}


def decide(tables: Tables, view: View, bounds: Bounds, claims: Iterable[Claim] = CLAIMS) -> pd.DataFrame:
    """One row per claim and model, at the model's last checkpoint, and one over all models where there are several.

    Args:
        tables: name of a measure -> its table over all models and checkpoints.
        view: which neurons, controls, rows and documents.
        bounds: decision bounds.
        claims: the claims to decide.

    Returns:
        ``CLAIM_COLUMNS``; ``model`` is ``ALL_MODELS`` over models. ``value`` is NaN where nothing is measured.
    """
    by_model = {str(model): tables_of(model, tables) for model in tables["regimes"]["model"].unique()}
    checkpoints = {model: str(mine["regimes"]["checkpoint"].iloc[0]) for model, mine in by_model.items()}
    rows = []
    for claim in claims:
        for model, decision in decisions(claim, by_model, view, bounds).items():
            note = left_out_note(tables["audit"], model) if claim.about_training else ""
            checkpoint = checkpoints.get(model, "")
            texts = claim_texts(claim.name, model, checkpoint, decision, view, bounds, note)
            rows.append({"claim": claim.name, "model": model} | _numbers(decision) | texts)
    return pd.DataFrame(rows, columns=CLAIM_COLUMNS)


def _numbers(decision: Decision) -> dict[str, object]:
    """The columns of a row of ``claims.csv`` that are no text, and the verdict."""
    return {
        **vars(decision.number),
        "p_value": decision.p_value,
        "n": decision.n,
        "power": decision.power,
        "bound": decision.bound,
        "verdict": decision.verdict,
    }
