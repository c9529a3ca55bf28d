"""What a claim's rule found for one model, and its row in the table of verdicts: all rows begin and end alike."""

from dataclasses import dataclass, field

import pandas as pd

from rareneurons.claims.bounds import Claim, Verdict
from rareneurons.claims.needs import cannot_measure
from rareneurons.conventions import ALL_MODELS

NAN = float("nan")
HERE = "; here: "  # stands between a reason's rule and its numbers
NUMBERS = ["value", "ci_low", "ci_high"]


def no_number() -> pd.Series:
    """A number that is not known."""
    return pd.Series(dict.fromkeys(NUMBERS, NAN))


@dataclass(frozen=True)
class Finding:
    """Verdict, and what it rests on.

    ``statistic`` names the number, ``number`` has its ``value``, ``ci_low`` and ``ci_high``; ``p_value`` is adjusted,
    ``n`` counts what ``plain`` says, ``bound`` is where the number begins to matter. ``plain``: the finding, as the
    rest of one sentence that needs no knowledge of the rule. ``rule``: how it is decided; ``told``: all that went into
    it. ``need``: what would decide it.
    """

    verdict: Verdict
    statistic: str
    plain: str
    rule: str
    told: str
    need: str
    number: pd.Series = field(default_factory=no_number)
    p_value: float = NAN
    n: float = 0
    bound: float = NAN


def verdict_row(claim: Claim, model: str, finding: Finding) -> dict[str, object]:
    """The row of one claim and model; a need stands only where the verdict is undecided."""
    whom = "over all models" if model == ALL_MODELS else f"for {model}"
    return {
        "claim": claim.name,
        "model": model,
        "statistic": finding.statistic,
        **{key: finding.number[key] for key in NUMBERS},
        "p_value": finding.p_value,
        "n": finding.n,
        "bound": finding.bound,
        "verdict": finding.verdict,
        "reason": f"rule: {finding.rule}{HERE}{finding.told}",
        "sentence": f"{finding.verdict.capitalize()} {whom}: {finding.plain}.",
        "need": finding.need if finding.verdict == "undecided" else "",
    }


def unmeasured(statistic: str, rule: str, bound: float, why: str, need: str = "") -> Finding:
    """The finding where a number is missing: ``why``, and what would give it, if that is not what ``why`` says."""
    plain, told = f"it was not measured: {why}", f"not measured: {why}"
    return Finding("undecided", statistic, plain, rule, told, need or cannot_measure(why), bound=bound)
