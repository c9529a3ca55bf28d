"""Verdicts over models: counted, averaged, and what lacks."""

from dataclasses import replace

import numpy as np
import pytest
from claim_tables import BOUNDS, VIEW

from rareneurons.claims.decision import Decision, Premise, Statistic
from rareneurons.claims.interval import Interval
from rareneurons.claims.over_models import SHARE_OF_MODELS, MoreModelsLikeThese, over_models
from rareneurons.claims.sentences import claim_texts
from rareneurons.conventions import ALL_MODELS
from rareneurons.stats import random_effects

SHORT = {"y": "supported", "n": "contradicted", "u": "undecided"}
STATISTIC = Statistic("separation", "plateau", "rare", "heldout")


def models(verdicts: str, values=None, half=0.05, bound=0.1) -> dict[str, Decision]:
    """One decision per letter of ``verdicts``: y, n or u."""
    values = np.zeros(len(verdicts)) if values is None else np.asarray(values, dtype=float)
    return {
        f"m{number}": Decision(
            *(SHORT[letter], STATISTIC, None), number=Interval(value, value - half, value + half), bound=bound
        )
        for number, (letter, value) in enumerate(zip(verdicts, values, strict=True))
    }


def texts(found: Decision) -> dict[str, str]:
    return claim_texts("C4", ALL_MODELS, "", found, VIEW, BOUNDS)


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        ("yy", "undecided"),  # two models are a vote, not a sample
        ("yyy", "undecided"),
        ("yyyy", "supported"),
        ("yyyyuuu", "supported"),
        ("yyyyuuuu", "undecided"),  # half is no majority
        ("yyyyn", "undecided"),
        ("nnnnu", "contradicted"),
        ("nu", "undecided"),
        ("uu", "undecided"),
    ],
)
def test_four_models_and_a_majority_without_a_contradiction_decide(verdicts, expected):
    found = over_models(models(verdicts), None)
    assert found.verdict == expected
    assert found.number.value == verdicts.count("y") / len(verdicts)
    assert f"supported in {verdicts.count('y')} of {len(verdicts)} models" in texts(found)["sentence"]


@pytest.mark.oracle
@pytest.mark.parametrize("verdicts", ["yy", "yyuu", "nnnyu", "uuu", "yyyyyynu"])
def test_share_interval_and_sign_test_equal_scipy(verdicts):
    from scipy.stats import binomtest

    found = over_models(models(verdicts), None)
    yes, no = verdicts.count("y"), verdicts.count("n")
    interval = binomtest(yes, len(verdicts)).proportion_ci()
    assert (found.number.ci_low, found.number.ci_high) == pytest.approx((interval.low, interval.high), abs=1e-9)
    if yes + no:
        assert found.p_value == pytest.approx(binomtest(yes, yes + no).pvalue)
    else:
        assert np.isnan(found.p_value)


def test_the_mean_decides_where_single_models_do_not():
    values = [0.03, 0.04, 0.05, 0.04, 0.03]
    found = over_models(models("uuuuu", values, half=0.08), 0.1)
    own = random_effects(np.array(values), np.full(5, 0.08 / 1.96), 0.1)
    assert found.verdict == "undecided", "errors that all share are no smaller in the mean"
    found = over_models(models("uuuuu", values, half=0.055), 0.1)
    assert found.verdict == "supported"
    assert found.number.value == pytest.approx(own.mean, abs=1e-3)
    assert over_models(models("uuuun", values, half=0.055), 0.1).verdict == "undecided"
    above = over_models(models("uuuuu", [0.3, 0.31, 0.29, 0.3, 0.3], half=0.1), 0.1)
    assert above.verdict == "contradicted"
    assert (above.bound, above.n) == (0.1, 5)
    for said in ("on average", "models differ from one another by"):
        assert said in texts(above)["sentence"]
    assert "I squared" in texts(above)["evidence"]


def test_a_mean_that_spans_the_bound_decides_nothing_although_both_models_support_the_claim():
    found = over_models(models("yy", [-0.3, -0.02], half=0.01, bound=-0.125), 0.0)
    assert found.verdict == "undecided"
    assert found.number.ci_low < 0 < found.number.ci_high


def test_models_whose_premise_is_not_met_have_no_part_in_the_mean():
    table = models("uuuu", [0.03, 0.04, 0.05, 0.04])
    for model, answer in (("m0", "fails"), ("m1", "open")):
        premise = Premise(answer, "supported", table[model])
        table[model] = replace(table[model], premise=premise)
    assert over_models(table, 0.1).n == 2
    assert "2 without an interval or a premise left out of the mean" in texts(over_models(table, 0.1))["evidence"]


def test_models_without_an_interval_are_left_out_of_the_mean_and_named():
    table = models("yyu", [0.0, 0.01, np.nan])
    found = over_models(table, 0.1)
    assert found.n == 2
    assert "1 without an interval or a premise left out of the mean" in texts(found)["evidence"]
    table["m1"] = replace(table["m1"], number=Interval(0.01, 0.01, 0.01))  # no width
    counted = over_models(table, 0.1)
    assert counted.statistic.quantity == SHARE_OF_MODELS
    assert texts(counted)["statistic"] == "share of models that support it"


def test_what_lacks_over_models():
    def need(verdicts: str) -> str:
        return texts(over_models(models(verdicts), None))["need"]

    assert need("yyyuu") == "the verdict supported for 1 more of m3, m4 (see their rows)"
    assert need("nnuuu").startswith("the verdict contradicted for 2 more of m2, m3, m4")
    assert need("yyu").endswith("for 1 more of m2 (see their rows) and 1 more models, for at least 4 that agree")
    assert need("yy") == "2 more models, for at least 4 that agree"
    assert need("uuuu").startswith("the same verdict for 4 more of")
    assert "between m0 (supported) and m1 (contradicted)" in need("ynu")
    near = texts(over_models(models("uu", [0.0999999, 0.1000001]), 0.1))["need"]
    assert near.endswith("or more than 2,000 models: their mean is too close to the bound")


@pytest.mark.oracle
def test_models_asked_for_are_the_first_number_whose_interval_clears_the_bound():
    from scipy.stats import t

    values = np.array([0.02, 0.12, 0.05, 0.09])
    found = over_models(models("uuuu", values, half=0.01), 0.1)
    scatter = values.std(ddof=1)  # errors are small beside it
    k = 5
    while (t.ppf(0.975, k - 1) + t.ppf(0.8, k - 1)) * scatter / np.sqrt(k) >= 0.1 - values.mean():
        k += 1
    assert texts(found)["need"].endswith(f"or {k} models like these (4 here)")


@pytest.mark.calibration
def test_as_many_models_as_are_asked_for_decide():
    """Four models whose mean does not decide; with the number asked for it does in at least 70 % of draws."""
    rng = np.random.default_rng(11)

    def drawn(n: int, half: float) -> dict[str, Decision]:
        return models("u" * n, 0.02 + 0.06 * rng.normal(size=n), half=half)

    decided, asked = [], 0
    while asked < 60:
        few = over_models(drawn(4, 0.02), 0.1)
        needed = few.options[-1].requirements[0]
        if few.verdict != "undecided" or not isinstance(needed, MoreModelsLikeThese) or needed.needed is None:
            continue
        asked += 1
        n = needed.needed
        decided.append(over_models(drawn(min(n, 200), 0.02), 0.1).verdict == "supported")
    assert np.mean(decided) >= 0.7
