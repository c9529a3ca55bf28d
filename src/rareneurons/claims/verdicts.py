"""Every claim's rule applied to every model, and over the models."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import pandas as pd

from rareneurons.claims.bounds import Bounds
from rareneurons.claims.clusters import decide_clusters
from rareneurons.claims.coactivation import decide_coactivation
from rareneurons.claims.course import decide_course
from rareneurons.claims.decision import Decision, Verdict
from rareneurons.claims.dimension import decide_dimension
from rareneurons.claims.known_types import (
    decide_dimension_without_types,
    decide_known_types,
    decide_selectivity_without_types,
)
from rareneurons.claims.over_models import summaries
from rareneurons.claims.plateau import (
    decide_common_curve,
    decide_rare_curve,
    decide_three_phases,
    decide_two_regimes,
)
from rareneurons.claims.premise import with_adjusted_p, with_premise
from rareneurons.claims.routing import decide_routing
from rareneurons.claims.selectivity import decide_selectivity, selected_group
from rareneurons.claims.sentences import claim_texts
from rareneurons.claims.tails import decide_tails
from rareneurons.claims.view import Tables, View, tables_of
from rareneurons.models.audit import left_out_note
from rareneurons.tables import CLAIM_COLUMNS

Rule = Callable[[Tables, View, Bounds], Decision]


SELECTIVITY = "C8"
NO_REPLICATES: Mapping[str, str] = {}


@dataclass(frozen=True)
class Claim:
    """A claim of the paper and the ``rule`` that decides it for one model.

    ``rests_on_p``: the verdicts that the rule gives only for a small p. ``has_premise``: whether the claim is about
    rare-token neurons, which C8 must find. ``mean_supports_below``: function of the bounds for a claim whose number
    models can be averaged over; a mean below it supports the claim. ``about_training``: whether checkpoints that the
    audit left out belong to the evidence. ``secondary``: a claim of a sibling paper, or what the claims come to without
    known types of neurons, shown beside the others; Holm's adjustment does not include its p.
    """

    name: str
    rule: Rule
    rests_on_p: tuple[Verdict, ...] = ("supported",)
    has_premise: bool = False
    mean_supports_below: Callable[[Bounds], float] | None = None
    about_training: bool = False
    secondary: bool = False


# C1 rests on the plateau test, which has a level of its own: regimes.alpha, shared by all checkpoints.
CLAIMS = (
    Claim("C1", decide_rare_curve, ()),
    Claim("C2", decide_common_curve, ()),
    Claim(SELECTIVITY, decide_selectivity),
    Claim("C3", decide_dimension, has_premise=True, mean_supports_below=lambda bounds: 0.0),
    Claim(
        *("C4", decide_clusters, ("contradicted",)),
        has_premise=True,
        mean_supports_below=lambda bounds: bounds.cluster_margin,
    ),
    Claim("C5", decide_routing, (), has_premise=True),
    Claim("C6", decide_course, (), about_training=True),
    Claim("C7", decide_tails, has_premise=True, about_training=True),
    Claim("C8s", decide_selectivity_without_types, (), secondary=True),
    Claim("C3s", decide_dimension_without_types, (), mean_supports_below=lambda bounds: 0.0, secondary=True),
    Claim("S1", decide_known_types, (), secondary=True),  # arXiv 2406.16254
    Claim("P1a", decide_coactivation, (), has_premise=True, secondary=True),  # arXiv 2505.12822
    Claim("P1b", decide_three_phases, (), secondary=True),  # arXiv 2505.12822
    Claim("P2", decide_two_regimes, (), secondary=True),  # arXiv 2509.04479
)


NOTHING_KEPT: Mapping[str, Decision] = MappingProxyType({})
NO_MODELS_KEPT: Mapping[str, Mapping[str, Decision]] = MappingProxyType({})


def decisions_on(
    tables: Tables,
    view: View,
    bounds: Bounds,
    claims: Sequence[Claim] = CLAIMS,
    kept: Mapping[str, Decision] = NOTHING_KEPT,
) -> dict[str, Decision]:
    """The decisions on claims for one model, with their p adjusted for one another.

    C8 is decided first. If it finds selective neurons, claims about the top neurons are decided on these. If C8 does
    not hold after adjustment, these claims are decided on the paper's neurons. A view that names its neurons has no
    premise.

    Args:
        tables: what verdicts on the model look at, see :func:`tables_of`.
        view: which neurons, controls, rows and documents.
        bounds: decision bounds.
        claims: the claims.
        kept: claim -> a decision that was made elsewhere and stays as it is. Its p counts in the others' adjustment.
    """
    found = decide_selectivity(tables, view.premise or view, bounds)
    decisions = _by_rule(tables, replace(view, selected=selected_group(found)), bounds, claims, found, kept)
    adjusted = decisions.get(SELECTIVITY, found)
    if adjusted.verdict != found.verdict:
        decisions = _by_rule(tables, view, bounds, claims, found, kept) | {SELECTIVITY: adjusted}
    if view.group is not None:
        return decisions
    about = {claim.name: with_premise(decisions[claim.name], adjusted) for claim in claims if claim.has_premise}
    return {**decisions, **about, **kept}


def _by_rule(
    tables: Tables,
    view: View,
    bounds: Bounds,
    claims: Sequence[Claim],
    selectivity: Decision,
    kept: Mapping[str, Decision],
) -> dict[str, Decision]:
    """Every claim that is not kept by its own rule, with p adjusted for one another and for those that are."""
    found = {SELECTIVITY: selectivity, **kept}
    found = {claim.name: found.get(claim.name) or claim.rule(tables, view, bounds) for claim in claims}
    rests_on_p = {claim.name: claim.rests_on_p for claim in claims if not claim.secondary}
    adjusted = with_adjusted_p({name: found[name] for name in rests_on_p}, rests_on_p, bounds.alpha)
    return {**found, **adjusted, **kept}


def _by_model(tables: Tables) -> dict[str, Tables]:
    """Model -> its tables."""
    return {str(model): tables_of(model, tables) for model in tables[_deciding(tables)]["model"].unique()}


def _deciding(tables: Tables) -> str:
    """The table that says which models there are, and their last checkpoints."""
    return "regimes" if "regimes" in tables else "joint"  # neurons that a user names have no curve


def decisions_by_model(
    tables: Tables,
    view: View,
    bounds: Bounds,
    claims: Sequence[Claim] = CLAIMS,
    kept: Mapping[str, Mapping[str, Decision]] = NO_MODELS_KEPT,
) -> dict[str, dict[str, Decision]]:
    """Model -> claim -> decision, at the model's last checkpoint; arguments as :func:`decide` takes them."""
    return {
        model: decisions_on(mine, view, bounds, claims, kept.get(model, NOTHING_KEPT))
        for model, mine in _by_model(tables).items()
    }


def decide(
    tables: Tables,
    view: View,
    bounds: Bounds,
    claims: Sequence[Claim] = CLAIMS,
    replicate_of: Mapping[str, str] = NO_REPLICATES,
    kept: Mapping[str, Mapping[str, Decision]] = NO_MODELS_KEPT,
) -> pd.DataFrame:
    """One row per claim and model, at the model's last checkpoint, and one over all models where there are several.

    Models that differ only in their seed are one kind of model. It has a row, too, and counts once over all models.

    Args:
        tables: name of a measure -> its table over all models and checkpoints.
        view: which neurons, controls, rows and documents.
        bounds: decision bounds.
        claims: the claims to decide. The p of a model are adjusted for one another, so fewer claims are adjusted less.
        replicate_of: model -> name of its kind, of models that others repeat with another seed.
        kept: model -> claim -> a decision that stays as it is, see :func:`decisions_on`. It has no row.

    Returns:
        ``CLAIM_COLUMNS``; ``model`` is the kind's name over seeds and ``ALL_MODELS`` over models. ``value`` is NaN
        where nothing is measured.
    """
    deciding = _deciding(tables)
    checkpoints = {model: str(mine[deciding]["checkpoint"].iloc[0]) for model, mine in _by_model(tables).items()}
    found = decisions_by_model(tables, view, bounds, claims, kept)
    rows = []
    for claim in claims:
        decisions = {
            model: mine[claim.name] for model, mine in found.items() if claim.name not in kept.get(model, NOTHING_KEPT)
        }
        below = claim.mean_supports_below
        decisions |= summaries(decisions, None if below is None else below(bounds), replicate_of, bounds.power)
        for model, decision in decisions.items():
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
