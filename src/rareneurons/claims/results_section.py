"""The verdicts as a results section to read: claim by claim, sentence by sentence, then what they rest on."""

from collections.abc import Iterator, Mapping

import pandas as pd

from rareneurons.claims.firmness import Firmness, firmness_by_claim
from rareneurons.claims.sentences import (
    HOW_DECIDED,
    INTRODUCTION,
    OVER_MODELS,
    WORDING,
    firmness_sentence,
    undecided_introduction,
)
from rareneurons.conventions import ALL_MODELS


def claims_markdown(claims: pd.DataFrame, firmness: pd.DataFrame | None = None) -> str:
    """The table of verdicts as Markdown.

    Args:
        claims: ``CLAIM_COLUMNS``.
        firmness: the table ``firmness``, if the run has one.
    """
    firm = {} if firmness is None else firmness_by_claim(firmness)
    lines = ["# Claims", "", INTRODUCTION, "", *_overview(claims), ""]
    for claim, rows in claims.groupby("claim", sort=False):
        lines += [f"## {claim}. {WORDING[str(claim)].title}", "", *_section(rows, firm)]
    return "\n".join([*lines, *_requirements(claims), ""])


def _overview(claims: pd.DataFrame) -> list[str]:
    models = sorted(claims["model"].unique(), key=lambda model: model != ALL_MODELS)
    heads = ["claim", *map(_name, models)]
    rows = []
    for claim, part in claims.groupby("claim", sort=False):
        verdicts = part.set_index("model")["verdict"]
        rows.append([f"{claim}. {WORDING[str(claim)].title}", *(verdicts[model] for model in models)])
    return [f"| {' | '.join(cells)} |" for cells in (heads, ["---"] * len(heads), *rows)]


def _name(model: str) -> str:
    return OVER_MODELS if model == ALL_MODELS else model


def _section(rows: pd.DataFrame, firm: Mapping[tuple[str, str], Firmness]) -> Iterator[str]:
    """Sentences, over models first; then the rules, each with the numbers it was applied to."""
    rows = rows.sort_values("model", key=lambda models: models != ALL_MODELS, kind="stable")
    for row in rows.to_dict("records"):
        found = firm.get((row["claim"], row["model"]))
        yield f"- **{row['verdict']}**: {row['sentence']}" + (f" {firmness_sentence(found)}" if found else "")
    yield ""
    for rule, part in rows.groupby("rule", sort=False):
        over_models = f" {OVER_MODELS}" * (ALL_MODELS in set(part["model"]))
        yield f"{HOW_DECIDED}{over_models}: {rule}."
        yield ""
        yield from (f"- {_name(model)}: {found}." for model, found in zip(part["model"], part["evidence"], strict=True))
        yield ""


def _requirements(claims: pd.DataFrame) -> Iterator[str]:
    undecided = claims[claims["verdict"] == "undecided"]
    if undecided.empty:
        return
    yield "## What would decide the undecided claims"
    yield ""
    yield undecided_introduction()
    yield ""
    for claim, model, need in zip(undecided["claim"], undecided["model"], undecided["need"], strict=True):
        yield f"- {claim}, {_name(model)}: {need}."
