"""All numbers of a checkpoint's curves: names, intervals, tests, differences, nulls."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from rareneurons.influence.sums import InfluenceSums
from rareneurons.regimes import estimates as est
from rareneurons.stats import document_weights
from rareneurons.tables import CheckpointName, Estimate

SETTINGS = est.RegimeSettings(
    cuts=(2.0, 4.0),
    bootstrap=60,
    null_curves=199,
    alpha=0.01,
    flatness=0.5,
    excess=1.5,
    overlap=0.5,
    power_draws=5,
    power_wanted=0.0,
    tops=(10, 30),
)
N_BLOCKS, N = 40, 700
CHECKPOINT = CheckpointName("m", "step8")


def by_number(triples) -> dict[tuple[str, str, str, str], Estimate]:
    """(condition, sign, measure, part) -> estimate."""
    return {(condition, sign, e.measure, e.part): e for condition, sign, e in triples}


def sums_with(effect: np.ndarray, rng: np.random.Generator) -> InfluenceSums:
    """Blocks of 25 rows whose effects scatter by a third around each neuron's own."""
    n_rows = np.full(N_BLOCKS, 25)
    signed = n_rows[:, None] * effect * rng.normal(1, 0.3, size=(N_BLOCKS, len(effect)))
    return InfluenceSums(np.arange(N_BLOCKS), n_rows, signed, np.abs(signed))


def sums_of_splits(effect_of: Callable[[str], np.ndarray], rng: np.random.Generator) -> dict[str, InfluenceSums]:
    """Sums of both conditions on both splits, ``<condition>/<split>``; the effect is asked for again for each."""
    return {
        f"{condition}/{split}": sums_with(effect_of(condition), rng)
        for condition in ("rare", "common")
        for split in ("discovery", "heldout")
    }


def layer_effect(rng: np.random.Generator, plateau: bool) -> np.ndarray:
    """1500 boost and 300 suppressing neurons; with a plateau, 30 boost neurons are flat before the power law."""
    x = np.log(np.arange(1, 1501))
    boost = -4 - 0.6 * (np.clip(x - np.log(30), 0, None) if plateau else x) - 1.2 * np.clip(x - 6.2, 0, None)
    if not plateau:
        boost = np.sort(-4 - 0.6 * np.log(1500 * rng.random(1500) + 0.5))[::-1]
    return np.concatenate([np.exp(boost), -np.exp(rng.normal(-6, 1, 300))])


@pytest.fixture(scope="module")
def found():
    rng = np.random.default_rng(1)
    rare, common = layer_effect(rng, True), layer_effect(rng, False)
    sums = {
        f"{name}/{split}": sums_with(effect, rng)
        for name, effect in {"rare": rare, "common": common, "shuffled_rare": common}.items()
        for split in ("discovery", "heldout")
    }
    triples = est.regime_estimates(sums, ("rare", "common"), SETTINGS, rng)
    return by_number(triples)


def test_planted_plateau_is_declared_where_it_is_and_nowhere_else(found):
    assert found["rare", "boost", "plateau", "test"].value == 1
    assert found["rare", "boost", "abs_mean_plateau", "test"].value == 1
    for key in (("common", "boost"), ("shuffled_rare", "boost"), ("rare", "suppress"), ("noise", "boost")):
        assert found[*key, "abs_mean_plateau" if key[0] == "noise" else "plateau", "test"].value == 0
    assert found["rare", "boost", "top_overlap", "test"].value > 0.7
    for name in ("plateau", "flat_top"):
        assert found["rare", "boost", name, "test"].p_value <= 0.01
        assert found["common", "boost", name, "test"].p_value > 0.01
    assert found["rare", "boost", "steep_top", "test"].p_value > 0.1


def test_intervals_hold_the_planted_numbers(found):
    exponent = found["rare", "boost", "power_law_exponent", "auto"]
    assert exponent.ci_low < 0.6 < exponent.ci_high
    assert exponent.n == N_BLOCKS
    end = found["rare", "boost", "plateau_end", "auto"]
    assert end.ci_low - 0.2 <= np.log(30) <= end.ci_high + 0.2
    shares = [found["rare", "boost", f"{r}_share", "auto"].value for r in ("plateau", "power_law", "decay")]
    assert sum(shares) == pytest.approx(1)
    assert found["rare", "boost", "n_neurons", ""].value == 1500


def test_difference_of_conditions_has_an_interval_and_a_p(found):
    departure = found["rare-common", "boost", "flatness", "flat"]
    values = [found[c, "boost", "flatness", "flat"].value for c in ("rare", "common")]
    assert departure.value == pytest.approx(values[0] - values[1])
    assert departure.ci_low < departure.value < departure.ci_high < 0
    height = found["rare-common", "boost", "height_over_power_law", "excess"]
    assert height.ci_low < height.value < height.ci_high
    exponent = found["rare-common", "boost", "plateau_exponent", "fixed"]
    assert exponent.value < 0
    assert exponent.ci_high < 0  # a flat top against a power law's
    assert exponent.p_value < 0.05
    assert ("rare-common", "boost", "bic_two", "auto") not in found


def test_overlap_has_beside_it_what_one_condition_shares_with_itself(found):
    for top in (10, 30):
        overlap = found["rare-common", "boost", "overlap", f"top_{top}"]
        assert 0 <= overlap.value <= 1
        assert overlap.p_value >= 0
    # Within the plateau noise decides the order; all of it stands clear of the rest.
    assert found["rare", "boost", "replication", "top_10"].value < 0.8
    assert found["rare", "boost", "replication", "top_30"].value > 0.8


def powers_wanted(wanted: float, n: int = 260, scatter: float = 0.3, power_draws: int = 10) -> dict[str, float]:
    """Power by name of a layer of ``n`` boost neurons without a plateau."""
    rng = np.random.default_rng(4)
    effect = np.concatenate([0.01 * rng.random(n) ** -0.5, np.full(20, -0.01)])
    n_rows = np.full(N_BLOCKS, 25)
    signed = n_rows[:, None] * effect * rng.lognormal(0, scatter, size=(N_BLOCKS, len(effect)))
    sums = {
        f"{c}/{split}": InfluenceSums(np.arange(N_BLOCKS), n_rows, signed, np.abs(signed))
        for c in ("rare", "common")
        for split in ("discovery", "heldout")
    }
    settings = replace(
        SETTINGS, power_draws=power_draws, power_wanted=wanted, bootstrap=10, tops=(33,), cuts=(3.5, 5.5)
    )
    found = est.regime_estimates(sums, ("rare", "common"), settings, rng)
    return {e.part: e.value for c, sign, e in found if c == "rare" and e.measure == "power"}


def test_more_documents_and_neurons_are_simulated_until_the_power_is_reached():
    name, planted = "test", ["flat_33", "excess_33"]
    plain = powers_wanted(0.0)
    assert list(plain) == [*planted, name]
    assert plain[name] == min(plain[part] for part in planted)
    found = {part: value for part, value in powers_wanted(0.8).items() if part not in planted}
    tried = [name, "documents_4", "documents_16", "neurons_2", "neurons_4", "neurons_8"]
    assert list(found) == tried[: len(found)]
    assert len(found) > 3, "a layer this narrow needs more neurons, not documents"
    *before, last = found.values()
    assert max(before) < 0.8 <= last
    assert list(powers_wanted(0.8, n=90)) == [*planted, name], "too few neurons to fit have no power to extrapolate"
    loud = powers_wanted(0.8, n=2000, scatter=2.0)
    loud = {part: value for part, value in loud.items() if part not in planted}
    assert loud[name] < 0.8, "errors hide a plateau of many neurons"
    assert list(loud)[1] == "documents_4"
    assert list(loud.values())[-1] >= 0.8, "errors shrink with the root"
    assert not any(part.startswith("neurons") for part in loud), "more documents are enough"


def test_power_is_estimated_for_both_conditions(found):
    for condition in ("rare", "common"):
        assert 0 <= found[condition, "boost", "power", "test"].value <= 1


def test_every_number_has_a_unit(found):
    assert {e.unit for (_, _, measure, _), e in found.items() if measure == "overlap"} == {"share of the top"}
    assert all(e.unit for e in found.values())
    assert found["rare", "boost", "plateau_end", "auto"].unit == "ln rank"
    assert found["rare", "boost", "decay_share", "authors"].unit == "share of neurons"


def test_a_draw_is_read_at_the_rank_fractions_of_its_curve():
    y = -0.5 * np.log(np.arange(1, 401))
    same = est.at_rank_fractions(y, 400)
    np.testing.assert_allclose(same, y)
    longer = est.at_rank_fractions(y, 440)
    assert len(longer) == 440
    assert longer[439] == pytest.approx(y[399])
    assert longer[219] == pytest.approx(y[199])


def test_bands_of_both_conditions_and_signs(rng):
    sums = {f"{name}/heldout": sums_with(layer_effect(rng, False), rng) for name in ("rare", "common")}
    bands = est.no_plateau_bands(sums, ("rare", "common"), 99, rng)
    assert set(zip(bands["condition"], bands["group"], strict=True)) == {
        (c, s) for c in ("rare", "common") for s in ("boost", "suppress")
    }
    assert (bands["ln_influence_low"] < bands["ln_influence_high"]).all()


def test_layers_too_small_to_fit_still_have_their_fixed_cuts(rng):
    effect = np.concatenate([np.exp(-0.1 * np.arange(60)), -np.ones(5)])
    sums = sums_of_splits(lambda _condition: effect, rng)
    names = set(by_number(est.regime_estimates(sums, ("rare", "common"), SETTINGS, rng)))
    assert ("rare", "boost", "power_law_exponent", "fixed") in names
    assert not any(part in ("auto", "test") and measure != "power" for _, _, measure, part in names)
    bands = est.no_plateau_bands(sums, ("rare", "common"), 99, rng)
    assert bands.empty
    assert bands["ln_influence_low"].dtype == bands["ln_influence_high"].dtype == bands["ln_rank"].dtype == float


def test_trending_draws_mean_the_same_documents_for_generators_in_one_state(rng):
    effect = layer_effect(rng, False)
    sums = sums_of_splits(lambda _condition: effect, rng)
    first, again = (
        est.trending_draws(CHECKPOINT, sums, ("rare", "common"), SETTINGS, np.random.default_rng(4)) for _ in range(2)
    )
    pd.testing.assert_frame_equal(first, again)
    draws = first.set_index(["condition", "measure", "part", "quantity"])["draws"]
    for number in (("power_law_exponent", "fixed"), ("influence_share", "top")):
        rare, common = (draws[condition, *number, "value"] for condition in ("rare", "common"))
        assert len(rare) == SETTINGS.bootstrap
        assert rare.std() > 0
        np.testing.assert_array_equal(draws["rare-common", *number, "difference"], rare - common)


@pytest.mark.oracle
def test_agreement_is_spearmans_correlation_of_the_influences(rng):
    sums = sums_of_splits(lambda condition: layer_effect(rng, condition == "rare"), rng)
    found = by_number(est.regime_estimates(sums, ("rare", "common"), SETTINGS, rng))
    rare, common = (sums[f"{c}/heldout"].absolute.sum(0) for c in ("rare", "common"))
    agreement = found["rare-common", "boost", "influence_agreement", ""]
    assert agreement.value == pytest.approx(stats.spearmanr(rare, common).statistic)


@pytest.mark.oracle
def test_the_share_of_the_top_is_that_of_neurons_chosen_on_rare_discovery_rows(rng):
    """On every condition's held-out rows, for point values and draws, by plain sums: to 1e-12."""
    sums = sums_of_splits(lambda condition: layer_effect(rng, condition == "rare"), rng)
    found = by_number(est.regime_estimates(sums, ("rare", "common"), SETTINGS, rng))
    chosen = sums["rare/discovery"]
    mean_abs, boost = chosen.absolute.sum(0), chosen.signed.sum(0) > 0
    top = sorted(np.flatnonzero(boost), key=lambda neuron: -mean_abs[neuron])[:7]  # ln rank below 2
    shares = {c: sums[f"{c}/heldout"].absolute.sum(0) for c in ("rare", "common")}
    shares = {c: total[top].sum() / total.sum() for c, total in shares.items()}
    for condition, share in shares.items():
        estimate = found[condition, "boost", "influence_share", "top"]
        assert estimate.value == pytest.approx(share, abs=1e-12)
        assert estimate.ci_low < estimate.ci_high
        assert estimate.unit == "share of the layer's influence"
    difference = found["rare-common", "boost", "influence_share", "top"]
    assert difference.value == pytest.approx(shares["rare"] - shares["common"], abs=1e-12)
    draws = est.trending_draws(CHECKPOINT, sums, ("rare", "common"), SETTINGS, np.random.default_rng(4))
    weights = document_weights(N_BLOCKS, SETTINGS.bootstrap, np.random.default_rng(4))
    total = weights @ sums["common/heldout"].absolute
    drawn = draws.set_index(["condition", "measure", "part"]).loc[("common", "influence_share", "top"), "draws"]
    np.testing.assert_allclose(drawn, total[:, top].sum(1) / total.sum(1), atol=1e-12)


def test_a_layer_without_suppress_neurons_has_no_suppress_curve(rng):
    effect = 0.01 * (1 + np.arange(60)) ** -0.5
    sums = sums_of_splits(lambda _condition: effect, rng)
    sums = {name: replace(each, signed=np.abs(each.signed)) for name, each in sums.items()}
    triples = est.regime_estimates(sums, ("rare", "common"), SETTINGS, rng)
    found = by_number(triples)
    assert found["rare", "suppress", "n_neurons", ""].value == 0
    assert np.isnan(found["rare", "suppress", "height_over_power_law", "fixed"].value)
    assert np.isfinite(found["rare", "boost", "power_law_exponent", "fixed"].value)
