"""The verdicts as a results section to read: claim by claim, sentence by sentence, then what they rest on."""

from collections.abc import Iterator, Sequence

import pandas as pd

from rareneurons.claims.bounds import Claim
from rareneurons.claims.findings import HERE
from rareneurons.claims.measured import percent
from rareneurons.claims.needs import CHANCE
from rareneurons.conventions import ALL_MODELS

INTRODUCTION = (
    "Each claim of the paper is *supported*, *contradicted* or *undecided* for each model at its last checkpoint, by a "
    "rule whose bounds stand in the configuration (`claims`). Intervals hold 95 %. What would decide the undecided "
    "stands at the end."
)


def claims_markdown(claims: pd.DataFrame, texts: Sequence[Claim]) -> str:
    """The table of verdicts as Markdown.

    Args:
        claims: ``CLAIM_COLUMNS``.
        texts: the claims, in order.
    """
    lines = ["# Claims", "", INTRODUCTION, "", *_overview(claims, texts), ""]
    for claim in texts:
        lines += [f"## {claim.name}. {claim.text}", "", *_section(claims[claims["claim"] == claim.name])]
    return "\n".join([*lines, *_needs(claims), ""])


def _overview(claims: pd.DataFrame, texts: Sequence[Claim]) -> list[str]:
    models = sorted(claims["model"].unique(), key=lambda model: model != ALL_MODELS)
    verdicts = claims.set_index(["claim", "model"])["verdict"].to_dict()
    heads = ["claim", *map(_name, models)]
    rows = [[f"{claim.name}. {claim.text}", *(verdicts[claim.name, model] for model in models)] for claim in texts]
    return [f"| {' | '.join(cells)} |" for cells in (heads, ["---"] * len(heads), *rows)]


def _name(model: str) -> str:
    return "over models" if model == ALL_MODELS else model


def _section(rows: pd.DataFrame) -> Iterator[str]:
    """Sentences, over models first; then the rules, each with the numbers it was applied to."""
    rows = rows.sort_values("model", key=lambda models: models != ALL_MODELS, kind="stable")
    for sentence in rows["sentence"]:
        verdict, rest = sentence.split(" ", 1)
        yield f"- **{verdict}** {rest}"
    yield ""
    reasons = rows["reason"].str.split(HERE, n=1, expand=True).set_axis(["rule", "told"], axis=1)
    for rule, part in rows[["model"]].join(reasons).groupby("rule", sort=False):
        over_models = " over models" * (ALL_MODELS in set(part["model"]))
        yield f"How it is decided{over_models}: {str(rule).removeprefix('rule: ')}."
        yield ""
        yield from (f"- {_name(model)}: {told}." for model, told in zip(part["model"], part["told"], strict=True))
        yield ""


def _needs(claims: pd.DataFrame) -> Iterator[str]:
    undecided = claims[claims["verdict"] == "undecided"]
    if undecided.empty:
        return
    yield "## What would decide the undecided"
    yield ""
    yield f"By this run's numbers, with a chance of {percent(CHANCE)}, under the assumptions in `docs/methods.md`."
    yield ""
    for claim, model, need in zip(undecided["claim"], undecided["model"], undecided["need"], strict=True):
        yield f"- {claim}, {_name(model)}: {need}."
