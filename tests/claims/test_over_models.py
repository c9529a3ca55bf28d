"""Verdicts over models: counted, averaged, and what lacks."""

from dataclasses import replace

import numpy as np
import pytest
from claim_tables import BOUNDS, VIEW

from rareneurons.claims.decision import Decision, Premise, Statistic
from rareneurons.claims.interval import Interval
from rareneurons.claims.over_models import SHARE_OF_MODELS, MoreModelsLikeThese, over_models, summaries
from rareneurons.claims.sentences import claim_texts
from rareneurons.conventions import ALL_MODELS
from rareneurons.stats import random_effects

SHORT = {"y": "supported", "n": "contradicted", "u": "undecided"}
POWER = BOUNDS.power
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
    found = over_models(models(verdicts), None, POWER)
    assert found.verdict == expected
    assert found.number.value == verdicts.count("y") / len(verdicts)
    assert f"supported in {verdicts.count('y')} of {len(verdicts)} models" in texts(found)["sentence"]


@pytest.mark.oracle
@pytest.mark.parametrize("verdicts", ["yy", "yyuu", "nnnyu", "uuu", "yyyyyynu"])
def test_share_interval_and_sign_test_equal_scipy(verdicts):
    from scipy.stats import binomtest

    found = over_models(models(verdicts), None, POWER)
    yes, no = verdicts.count("y"), verdicts.count("n")
    interval = binomtest(yes, len(verdicts)).proportion_ci()
    assert (found.number.ci_low, found.number.ci_high) == pytest.approx((interval.low, interval.high), abs=1e-9)
    if yes + no:
        assert found.p_value == pytest.approx(binomtest(yes, yes + no).pvalue)
    else:
        assert np.isnan(found.p_value)


def test_the_mean_decides_where_single_models_do_not():
    values = [0.03, 0.04, 0.05, 0.04, 0.03]
    found = over_models(models("uuuuu", values, half=0.08), 0.1, POWER)
    own = random_effects(np.array(values), np.full(5, 0.08 / 1.96), 0.1)
    assert found.verdict == "undecided", "errors that all share are no smaller in the mean"
    found = over_models(models("uuuuu", values, half=0.055), 0.1, POWER)
    assert found.verdict == "supported"
    assert found.number.value == pytest.approx(own.mean, abs=1e-3)
    assert over_models(models("uuuun", values, half=0.055), 0.1, POWER).verdict == "undecided"
    above = over_models(models("uuuuu", [0.3, 0.31, 0.29, 0.3, 0.3], half=0.1), 0.1, POWER)
    assert above.verdict == "contradicted"
    assert (above.bound, above.n) == (0.1, 5)
    for said in ("on average", "between models"):
        assert said in texts(above)["sentence"]
    assert "I squared" in texts(above)["evidence"]


def test_a_mean_supports_no_claim_whose_tests_had_no_power():
    """Two models in which nothing is found, by tests that would find something in 10 % of cases, show no absence."""

    def verdict(*power: float) -> Decision:
        table = models("uu", [0.0, 0.001], half=0.005)
        return over_models({m: replace(table[m], power=p) for m, p in zip(table, power, strict=True)}, 0.1, POWER)

    assert verdict(0.9, 0.85).verdict == "supported"
    assert "power of at least 80 %" in texts(verdict(0.9, 0.85))["rule"]
    found = verdict(0.9, 0.1)
    assert (found.verdict, found.evidence.power) == ("undecided", 0.1)
    assert "least power of a model 10 %" in texts(found)["evidence"]
    assert texts(found)["need"].startswith("the same verdict for 2 more of m0, m1")
    of_seeds = {m: replace(d, power=0.1) for m, d in models("uuu", [0.0, 0.001, 0.0], half=0.005).items()}
    over = summaries(of_seeds, 0.1, {"m0": "a", "m1": "a"}, POWER)
    assert {name: decision.verdict for name, decision in over.items()} == {"a": "undecided", ALL_MODELS: "undecided"}
    above = {m: replace(d, power=0.1) for m, d in models("uu", [0.3, 0.3], half=0.005).items()}
    assert over_models(above, 0.1, POWER).verdict == "contradicted", "what is found needs no power"


def test_a_mean_that_spans_the_bound_decides_nothing_although_both_models_support_the_claim():
    found = over_models(models("yy", [-0.3, -0.02], half=0.01, bound=-0.125), 0.0, POWER)
    assert found.verdict == "undecided"
    assert found.number.ci_low < 0 < found.number.ci_high


def test_models_whose_premise_is_not_met_have_no_part_in_the_mean():
    table = models("uuuu", [0.03, 0.04, 0.05, 0.04])
    for model, answer in (("m0", "fails"), ("m1", "open")):
        premise = Premise(answer, "supported", table[model])
        table[model] = replace(table[model], premise=premise)
    assert over_models(table, 0.1, POWER).n == 2
    assert (
        "2 left out of the mean, without an interval or without a fulfilled premise"
        in texts(over_models(table, 0.1, POWER))["evidence"]
    )


def test_models_without_an_interval_are_left_out_of_the_mean_and_named():
    table = models("yyu", [0.0, 0.01, np.nan])
    found = over_models(table, 0.1, POWER)
    assert found.n == 2
    assert "1 left out of the mean, without an interval or without a fulfilled premise" in texts(found)["evidence"]
    table["m1"] = replace(table["m1"], number=Interval(0.01, 0.01, 0.01))  # no width
    counted = over_models(table, 0.1, POWER)
    assert counted.statistic.quantity == SHARE_OF_MODELS
    assert texts(counted)["statistic"] == "share of models that support it"


def test_what_lacks_over_models():
    def need(verdicts: str) -> str:
        return texts(over_models(models(verdicts), None, POWER))["need"]

    assert need("yyyuu") == "the verdict supported for 1 more of m3, m4 (see their rows)"
    assert need("nnuuu").startswith("the verdict contradicted for 2 more of m2, m3, m4")
    assert need("yyu").endswith("for 1 more of m2 (see their rows) and 1 more models, for at least 4 that agree")
    assert need("yy") == "2 more models, for at least 4 that agree"
    assert need("uuuu").startswith("the same verdict for 4 more of")
    assert "between m0 (supported) and m1 (contradicted)" in need("ynu")
    near = texts(over_models(models("uu", [0.0999999, 0.1000001]), 0.1, POWER))["need"]
    assert near.endswith("or more than 2,000 models: their mean is too close to the bound")


@pytest.mark.oracle
def test_models_asked_for_are_the_first_number_whose_interval_clears_the_bound():
    from scipy.stats import t

    values = np.array([0.02, 0.12, 0.05, 0.09])
    found = over_models(models("uuuu", values, half=0.01), 0.1, POWER)
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
        few = over_models(drawn(4, 0.02), 0.1, POWER)
        needed = few.options[-1].requirements[0]
        if few.verdict != "undecided" or not isinstance(needed, MoreModelsLikeThese) or needed.needed is None:
            continue
        asked += 1
        n = needed.needed
        decided.append(over_models(drawn(min(n, 200), 0.02), 0.1, POWER).verdict == "supported")
    assert np.mean(decided) >= 0.7


def seeds_of(kinds: dict[str, dict[str, Decision]]) -> tuple[dict[str, Decision], dict[str, str]]:
    """Decisions of models named ``<kind>-m<seed>``, and the kind of each."""
    decisions = {f"{kind}-{model}": each for kind, seeds in kinds.items() for model, each in seeds.items()}
    return decisions, {model: model.rsplit("-", 1)[0] for model in decisions}


def test_seeds_are_summed_up_first_and_a_kind_counts_once():
    values = {"14m": [0.02, 0.04, 0.03], "70m": [0.05, 0.06, 0.04]}
    decisions, kind_of = seeds_of({kind: models("uuu", each, half=0.01) for kind, each in values.items()})
    decisions["gpt2"] = models("u", [0.03], half=0.02)["m0"]
    found = summaries(decisions, 0.1, kind_of, POWER)
    assert list(found) == ["14m", "70m", ALL_MODELS]
    for kind, each in values.items():
        assert found[kind] == over_models(
            {f"{kind}-{model}": one for model, one in models("uuu", each, half=0.01).items()}, 0.1, POWER, "seed"
        )
    halves = [(found[kind].number.ci_high - found[kind].number.ci_low) / 2 for kind in values] + [0.02]
    means = [found["14m"].number.value, found["70m"].number.value, 0.03]
    by_hand = random_effects(np.array(means), np.array(halves) / 1.96, 0.1)
    over = found[ALL_MODELS]
    assert (over.n, over.number.value) == (3, pytest.approx(by_hand.mean, abs=1e-4))
    assert over.number.ci_high == pytest.approx(by_hand.ci_high, abs=1e-3)
    assert over.evidence.contradicted_above == 0.1
    said = claim_texts("C4", ALL_MODELS, "", over, VIEW, BOUNDS)
    assert "supported in 2 of 3 kinds of models, contradicted in 0, undecided in 1;" in said["sentence"]
    assert "(95 % interval for kinds of models like these" in said["sentence"]
    assert said["rule"].endswith(
        "models that differ only in their seed are one kind, with the verdict and number over its seeds"
    )
    said = claim_texts("C4", "70m", "", found["70m"], VIEW, BOUNDS)
    assert said["sentence"].startswith("Supported over the 3 seeds of 70m: supported in 0 of 3 seeds")


def test_nine_seeds_that_agree_are_one_kind_and_not_nine_models():
    decisions, kind_of = seeds_of({"70m": models("y" * 9), "160m": models("y" * 9), "410m": models("yyyyyyyyn")})
    found = summaries(decisions, None, kind_of, POWER)
    assert [found[kind].verdict for kind in ("70m", "160m", "410m")] == ["supported", "supported", "undecided"]
    over = found[ALL_MODELS]
    assert (over.verdict, over.number.value) == ("undecided", pytest.approx(2 / 3))
    need = claim_texts("C1", ALL_MODELS, "", over, VIEW, BOUNDS)["need"]
    assert need.startswith(
        "the verdict supported for 1 more of 410m (see their rows) and 1 more kinds of models, for at"
    )
    need = claim_texts("C1", "410m", "", found["410m"], VIEW, BOUNDS)["need"]
    assert need.startswith("more seeds, to see how often each happens: 410m-m0, ")
    assert over_models(models("y" * 27), None, POWER).verdict == "supported", "as models they would be enough"


def test_a_share_of_seeds_is_never_averaged_as_if_it_were_the_number():
    unknown = models("yyy", [np.nan] * 3)
    decisions, kind_of = seeds_of(
        {"a": unknown, "b": models("yyy", [0.01, 0.02, 0.03]), "c": models("yyy", [0.02] * 3)}
    )
    over = summaries(decisions, 0.1, kind_of, POWER)[ALL_MODELS]
    assert over.n == 2
    assert over.number.value == pytest.approx(0.02, abs=2e-3)


def test_seeds_of_one_kind_alone_and_single_models_have_no_further_row():
    decisions, kind_of = seeds_of({"a": models("yyyy")})
    assert list(summaries(decisions, None, kind_of, POWER)) == ["a"]
    assert summaries(models("y"), None, {}, POWER) == {}
    assert summaries(models("yy"), None, {"m0": "a"}, POWER) == {ALL_MODELS: over_models(models("yy"), None, POWER)}


@pytest.mark.calibration
def test_interval_over_kinds_holds_their_mean_where_that_over_all_models_does_not():
    """Five kinds of four seeds, kinds 0.1 apart, seeds 0.02: the true mean is within the interval in at least 92 %."""
    rng = np.random.default_rng(5)
    nested, pooled, decided = [], [], []
    for _ in range(100):
        values = 0.1 * rng.normal(size=(5, 1)) + 0.02 * rng.normal(size=(5, 4)) + 0.01 * rng.normal(size=(5, 4))
        decisions, kind_of = seeds_of({f"k{k}": models("uuuu", row, half=0.0196) for k, row in enumerate(values)})
        found = summaries(decisions, 0.3, kind_of, POWER)[ALL_MODELS]
        nested.append(found.number.ci_low <= 0 <= found.number.ci_high)
        decided.append(found.verdict == "supported")
        own = random_effects(values.flatten(), np.full(20, 0.01), 0.3)
        pooled.append(own.ci_low <= 0 <= own.ci_high)
    assert np.mean(nested) >= 0.92
    assert np.mean(pooled) < 0.8
    assert np.mean(decided) >= 0.8
