"""What holds over a run's models: their verdicts counted, and a random-effects mean where a claim's number has one."""

from typing import get_args

import numpy as np
import pandas as pd

from rareneurons.claims.bounds import Claim, Verdict
from rareneurons.claims.findings import NUMBERS, Finding
from rareneurons.claims.needs import CHANCE, MOST_TIMES
from rareneurons.stats import NORMAL_95, RandomEffects, random_effects

RULE = (
    "supported if no model contradicts it and either more than half of the models support it{above}; contradicted the "
    "other way round{below}; {value}; one test a claim; n counts models"
)
COUNTED = (
    "the value is the share of models that support it, its interval Clopper and Pearson's, p of the sign test among "
    "decided models"
)
AVERAGED = (
    "the value is the random-effects mean (Paule-Mandel), its interval Hartung and Knapp's for models like these, no "
    "narrower than errors that all models share would make it, p of a mean of {0:g}"
)


def over_models(claim: Claim, rows: pd.DataFrame, yes_below: float) -> Finding:
    """The finding on a claim over all models.

    Args:
        claim: the claim.
        rows: its row for each of at least two models.
        yes_below: the claim's number speaks for it below this, and against it above ``bound``; NaN for a claim
            without a number that models can be averaged over.
    """
    numbers = rows[np.isfinite(rows[NUMBERS].to_numpy(dtype=float)).all(axis=1)]
    numbers = numbers[numbers["ci_high"] > numbers["ci_low"]]
    if np.isnan(yes_below) or len(numbers) < 2:
        return _counted(rows)
    return _averaged(claim, rows, numbers, yes_below)


def _tally(rows: pd.DataFrame) -> dict[str, list[str]]:
    """Verdict -> the models that have it."""
    return {each: rows.loc[rows["verdict"] == each, "model"].tolist() for each in get_args(Verdict)}


def _told(rows: pd.DataFrame) -> str:
    return "; ".join(f"{verdict}: {', '.join(models) or 'none'}" for verdict, models in _tally(rows).items())


def _verdict(rows: pd.DataFrame, mean_says: Verdict = "undecided") -> Verdict:
    """By the models' verdicts and what their mean says."""
    yes, no, _ = (len(models) for models in _tally(rows).values())
    if not no and (2 * yes > len(rows) or mean_says == "supported"):
        return "supported"
    return "contradicted" if not yes and (2 * no > len(rows) or mean_says == "contradicted") else "undecided"


def _in_words(rows: pd.DataFrame) -> str:
    yes, no, undecided = (len(models) for models in _tally(rows).values())
    return f"supported in {yes} of {len(rows)} models, contradicted in {no}, undecided in {undecided}"


def _counted(rows: pd.DataFrame) -> Finding:
    """Share of models that support the claim, with Clopper and Pearson's interval and the sign test of the decided."""
    from scipy.special import bdtrc, betaincinv  # scipy.stats takes longer to load than all verdicts

    yes, no, _ = (len(models) for models in _tally(rows).values())
    n, most = len(rows), max(yes, no)
    low = betaincinv(yes, n - yes + 1, 0.025) if yes else 0.0
    high = betaincinv(yes + 1, n - yes, 0.975) if yes < n else 1.0
    return Finding(
        _verdict(rows),
        "share of models that support it",
        _in_words(rows),
        RULE.format(above="", below="", value=COUNTED).replace("either ", ""),
        _told(rows),
        _needed_verdicts(rows),
        pd.Series({"value": yes / n, "ci_low": low, "ci_high": high}),
        min(1.0, 2 * float(bdtrc(most - 1, yes + no, 0.5))) if most else np.nan,
        n,
        0.5,
    )


def _needed_verdicts(rows: pd.DataFrame) -> str:
    """Verdicts that lack for a majority without a contradiction."""
    yes, no, undecided = _tally(rows).values()
    if yes and no:
        return (
            f"models between {', '.join(yes)} (supported) and {', '.join(no)} (contradicted) in size or training, to "
            "see where it turns"
        )
    side = "a yes" if yes else "a no" if no else "the same verdict"
    lacking = len(rows) // 2 + 1 - len(yes or no)
    return f"{side} for {lacking} more of {', '.join(undecided)}, whose needs stand here too"


def _averaged(claim: Claim, rows: pd.DataFrame, numbers: pd.DataFrame, yes_below: float) -> Finding:
    """The claim's number averaged over the models that have an interval."""
    bound = float(rows["bound"].iloc[0])
    errors = (numbers["ci_high"] - numbers["ci_low"]).to_numpy(dtype=float) / (2 * NORMAL_95)
    found, n = random_effects(numbers["value"].to_numpy(dtype=float), errors, yes_below), len(numbers)
    says: Verdict = "undecided"
    if found.ci_high < yes_below:
        says = "supported"
    elif found.ci_low > bound:
        says = "contradicted"
    rule = RULE.format(
        above=f" or the interval of their mean lies below {yes_below:g}",
        below=f", or the interval above {bound:g}",
        value=AVERAGED.format(yes_below),
    )
    plain = (
        f"{_in_words(rows)}; {claim.effect} is {found.mean:+.2g} on average (95 % interval for models like these "
        f"{found.ci_low:+.2g} to {found.ci_high:+.2g}; {n} models), and models differ from one another by "
        f"{found.spread:.2g}"
    )
    told = f"standard deviation between models {found.spread:.2g}, I squared {100 * found.heterogeneity:.0f} %"
    told += f"; {_told(rows)}{f'; {len(rows) - n} without an interval left out of the mean' * (n < len(rows))}"
    return Finding(
        _verdict(rows, says),
        f"random-effects mean: {claim.effect}",
        plain,
        rule,
        told,
        f"{_needed_verdicts(rows)}; or {_needed_models(found, n, yes_below, bound)}",
        pd.Series({"value": found.mean, "ci_low": found.ci_low, "ci_high": found.ci_high}),
        found.p_value,
        n,
        yes_below,
    )


def _needed_models(found: RandomEffects, n: int, yes_below: float, bound: float) -> str:
    """Models until the mean's interval clears the nearer bound, if mean and scatter stay."""
    from scipy.special import stdtrit

    scatter = (found.ci_high - found.mean) / stdtrit(n - 1, 0.975) * np.sqrt(n)
    k = np.arange(n + 1, n * MOST_TIMES)
    reach = (stdtrit(k - 1, 0.975) + stdtrit(k - 1, CHANCE)) * scatter / np.sqrt(k)
    enough = k[reach < max(yes_below - found.mean, found.mean - bound)]
    if not len(enough):
        return f"more than {n * MOST_TIMES:,} models, so near to the bound is their mean"
    return f"{enough[0]:,} models like these ({n} here)"
