"""Rows of the table of verdicts, before a claim's rule has filled them in."""

import numpy as np
import pandas as pd

from rareneurons.claims.bounds import Claim


def filled(claim: Claim, model: str, condition: str, number: pd.Series | None) -> dict[str, object]:
    """A row whose verdict stays undecided unless the rule says otherwise, with the number where there is one."""
    row: dict[str, object] = {
        "claim": claim.name,
        "model": model,
        "statistic": f"{claim.measure} ({claim.group}, {condition})",
        "bound": np.nan,
        "verdict": "undecided",
    }
    if number is not None:
        row |= {key: number[key] for key in ("value", "ci_low", "ci_high", "p_value", "n")}
    return row


def unmeasured(claim: Claim, measure: str, model: str, condition: str) -> dict[str, object]:
    """The row of a claim whose number this run does not have."""
    reason = f"not measured: {measure} of {claim.group} on {condition} rows has no value in this run"
    return {
        **filled(claim, model, condition, None),
        "n": 0,
        "reason": reason,
        "sentence": f"{claim.text}: undecided for {model}; {reason}.",
    }
