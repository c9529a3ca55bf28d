"""Verdict per claim and model, with the number behind it and the rule in words."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from rareneurons.tables import CLAIM_COLUMNS, last_checkpoints


@dataclass(frozen=True)
class Claim:
    """A claim of the paper, the number that speaks to it, and what its test still lacks.

    ``table``, ``condition``, ``group`` and ``measure`` pick the number, at a model's last checkpoint. While
    ``missing`` is not empty the verdict is ``undecided``, whatever the number.
    """

    name: str
    text: str
    table: str
    condition: str
    group: str
    measure: str
    missing: str


CLAIMS = (
    Claim(
        "C1",
        "Rare targets: influence has a plateau, a power law and a rapid decay",
        "regimes",
        "rare",
        "boost",
        "mean_abs.fixed.head_departure",
        "the departure of the head is not yet tested against the order statistics of a curve without a plateau",
    ),
    Claim(
        "C2",
        "Common targets: no plateau",
        "regimes",
        "common",
        "boost",
        "mean_abs.fixed.head_departure",
        "the departure of the head is not yet tested, nor is its difference from rare targets",
    ),
    Claim(
        "C3",
        "Plateau neurons act together: reduced effective dimension",
        "coordination",
        "rare",
        "plateau",
        "effective_dimension",
        "the controls are random, not yet matched on activation mean, variance and output norm",
    ),
    Claim(
        "C4",
        "Plateau neurons form no discrete clusters",
        "organization",
        "rare",
        "plateau",
        "signed_modularity",
        "the controls are random, not yet matched, and the partition has no consensus over seeds and resolutions",
    ),
    Claim(
        "C5",
        "No dedicated attention routing to the plateau neurons",
        "attention",
        "rare",
        "plateau",
        "gini",
        "selectivity for rare targets is not yet tested, nor single heads against whole layers",
    ),
    Claim(
        "C6",
        "Specialization emerges gradually in training",
        "dynamics",
        "rare",
        "boost",
        "mean_abs.fixed.head_departure.trend",
        "the plateau test at each checkpoint and a trend with a document-bootstrap interval are not there yet",
    ),
    Claim(
        "C7",
        "Plateau neurons' weights have heavier-tailed spectra, increasingly so",
        "spectra",
        "rare",
        "plateau",
        "hill.w_out",
        "the controls are random, not yet matched, and the exponent's trend is not yet tested",
    ),
)


def decide(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """One row a claim and model, at the model's last checkpoint.

    Args:
        tables: name of a measure -> its table over all models and checkpoints.

    Returns:
        ``CLAIM_COLUMNS``. ``bound`` is NaN where no decision rule is in force.
    """
    models = dict.fromkeys(tables["regimes"]["model"])
    return pd.DataFrame(
        [_row(claim, str(model), tables) for claim in CLAIMS for model in models], columns=CLAIM_COLUMNS
    )


def _row(claim: Claim, model: str, tables: Mapping[str, pd.DataFrame]) -> dict[str, object]:
    table = tables[claim.table]
    found = table[
        (table["model"] == model)
        & (table["condition"] == claim.condition)
        & (table["group"] == claim.group)
        & (table["measure"] == claim.measure)
    ]
    found = last_checkpoints(found)
    row: dict[str, object] = {
        "claim": claim.name,
        "model": model,
        "statistic": f"{claim.measure} ({claim.group}, {claim.condition})",
        "bound": np.nan,
        "verdict": "undecided",
    }
    if found.empty:
        reason = f"not measured: {claim.measure} of {claim.group} on {claim.condition} rows has no value in this run"
        return row | {"n": 0, "reason": reason, "sentence": f"{claim.text}: undecided for {model}; {reason}."}
    number = found.iloc[0]
    row |= {key: number[key] for key in ("value", "ci_low", "ci_high", "p_value", "n")}
    interval = (
        f" (95 % interval {number['ci_low']:.3g} to {number['ci_high']:.3g})" if np.isfinite(number["ci_low"]) else ""
    )
    p = f", p = {number['p_value']:.3g}" if np.isfinite(number["p_value"]) else ""
    where = "over all checkpoints" if number["checkpoint"] == "all" else f"at {number['checkpoint']}"
    sentence = (
        f"{claim.text}: undecided for {model} {where}; {row['statistic']} is {number['value']:.3g} "
        f"{number['unit']}{interval}{p}, but {claim.missing}."
    )
    return row | {"reason": claim.missing, "sentence": sentence}


def claims_markdown(claims: pd.DataFrame) -> str:
    """The verdicts as a short results section."""
    lines = ["# Claims", ""]
    for name, part in claims.groupby("claim", sort=False):
        lines += [f"## {name}", "", *(f"- **{row.verdict}** {row.sentence}" for row in part.itertuples()), ""]
    return "\n".join(lines)
