"""Bootstrap, empirical p-values, multiple testing, trends."""

import numpy as np
import pytest

from rareneurons import stats
from rareneurons.tables import MEASURE_COLUMNS, CheckpointName, Estimate


@pytest.mark.oracle
def test_correlation_equals_numpy_and_weights_equal_repeats(rng):
    values = rng.normal(size=(40, 6))
    np.testing.assert_allclose(stats.correlation_matrix(values), np.corrcoef(values, rowvar=False), atol=1e-12)
    weights = rng.integers(0, 4, 40)
    repeated = np.repeat(values, weights, axis=0)
    np.testing.assert_allclose(
        stats.correlation_matrix(values, weights), np.corrcoef(repeated, rowvar=False), atol=1e-12
    )


def test_constant_neuron_has_no_correlation():
    values = np.column_stack([np.ones(5), np.arange(5.0)])
    assert np.isnan(stats.correlation_matrix(values)[0]).all()


def test_a_constant_whose_mean_is_rounded_has_no_correlation_either(rng):
    values = rng.normal(size=(300, 3))
    values[:, 0] = 0.1
    values[:7, 1] = 0.3
    assert np.isnan(stats.correlation_matrix(values)[0]).all()
    assert np.isfinite(stats.correlation_matrix(values)[1:, 1:]).all()
    first_rows = (np.arange(300) < 7).astype(float)
    assert np.isnan(stats.correlation_matrix(values, first_rows)[1]).all()


def test_document_weights_resample_whole_documents(rng):
    weights = stats.document_weights(7, 50, rng)
    assert weights.shape == (50, 7)
    assert (weights.sum(1) == 7).all()


@pytest.mark.calibration
def test_bootstrap_interval_covers_the_truth():
    rng = np.random.default_rng(3)
    inside = 0
    for _ in range(200):
        sample = rng.normal(size=60)
        draws = stats.document_weights(60, 200, rng) @ sample / 60
        low, high = stats.percentile_interval(draws)
        inside += low <= 0 <= high
    assert 0.89 <= inside / 200 <= 0.98


def test_interval_of_too_few_draws_is_unknown():
    assert np.isnan(stats.percentile_interval(np.array([1.0] * 9 + [np.nan] * 50))).all()


def test_empirical_p_counts_the_value_itself():
    null = np.arange(99.0)
    assert stats.empirical_p(1000.0, null, "greater") == 0.01
    assert stats.empirical_p(-1.0, null, "less") == 0.01
    assert stats.empirical_p(-1.0, null, "two-sided") == 0.02
    assert stats.empirical_p(49.0, null, "two-sided") == 1.0
    assert np.isnan(stats.empirical_p(np.nan, null, "less"))
    assert np.isnan(stats.empirical_p(1.0, np.array([np.nan]), "less"))


@pytest.mark.calibration
def test_empirical_p_is_uniform_under_the_null():
    rng = np.random.default_rng(5)
    p = [stats.empirical_p(rng.normal(), rng.normal(size=199), "two-sided") for _ in range(1000)]
    assert 0.03 <= np.mean(np.asarray(p) <= 0.05) <= 0.07


def test_against_controls_describes_group_and_null():
    estimate = Estimate("m", 5.0, "unit", 10, against="random")
    controls = [*range(5)] * 4
    found = stats.against_controls(estimate, [4.0, 6.0] * 20, [*controls, np.nan], "greater")
    assert (found.ci_low, found.ci_high) == (4.0, 6.0)
    assert found.p_value == pytest.approx(1 / 21)
    assert found.key == ("m", "", "value", "random")
    assert (found.null_mean, found.null_n, found.n) == (2.0, 20, 10)
    assert (found.null_low, found.null_high) == pytest.approx(np.quantile(controls, [0.025, 0.975]))
    nothing = stats.against_controls(estimate, [], [], "greater")
    assert np.isnan([nothing.ci_low, nothing.null_mean, nothing.null_low, nothing.p_value]).all()
    assert nothing.null_n == 0


def test_benjamini_hochberg_by_hand():
    adjusted = stats.benjamini_hochberg(np.array([0.01, np.nan, 0.04, 0.03]))
    np.testing.assert_allclose(adjusted, [0.03, np.nan, 0.04, 0.04])


@pytest.mark.oracle
def test_benjamini_hochberg_equals_scipy(rng):
    from scipy.stats import false_discovery_control

    p_values = rng.random(50).round(2) ** 2  # ties among them
    np.testing.assert_allclose(stats.benjamini_hochberg(p_values), false_discovery_control(p_values), atol=1e-15)
    assert np.isnan(stats.benjamini_hochberg(np.full(3, np.nan))).all()
    assert len(stats.benjamini_hochberg(np.empty(0))) == 0


@pytest.mark.calibration
def test_trend_says_yes_to_growth_and_no_to_noise():
    rng = np.random.default_rng(7)
    steps = np.array([0, 1, 2, 4, 8, 16, 32, 64, 128, 256])
    rho, p = stats.spearman_trend(steps, np.sqrt(steps), 500, rng)
    assert rho == pytest.approx(1)
    assert p < 0.01
    false = np.mean([stats.spearman_trend(steps, rng.normal(size=10), 200, rng)[1] < 0.05 for _ in range(200)])
    assert false <= 0.09
    assert np.isnan(stats.spearman_trend(steps, np.ones(10), 10, rng)).all()
    assert np.isnan(stats.spearman_trend(steps[:3], steps[:3], 10, rng)).all()


def test_bootstrap_p_counts_the_smaller_side():
    assert stats.bootstrap_p(np.concatenate([np.full(95, 1.0), np.full(4, -1.0)])) == pytest.approx(2 * 5 / 100)
    assert stats.bootstrap_p(np.concatenate([np.ones(50), -np.ones(50)])) == 1
    assert np.isnan(stats.bootstrap_p(np.full(20, np.nan)))


@pytest.mark.calibration
def test_bootstrap_p_of_no_difference_is_calibrated(rng):
    p = []
    for _ in range(300):
        values = rng.normal(size=40)
        draws = (stats.document_weights(40, 200, rng) @ values) / 40
        p.append(stats.bootstrap_p(draws))
    assert 0.02 <= np.mean(np.asarray(p) <= 0.05) <= 0.1


@pytest.mark.oracle
def test_adjusted_p_values_equal_scipy(rng):
    from scipy.stats import false_discovery_control

    for n in (1, 2, 50):
        p_values = rng.random(n).round(1)  # with ties
        np.testing.assert_allclose(stats.benjamini_hochberg(p_values), false_discovery_control(p_values), atol=1e-12)


def test_families_are_adjusted_apart():
    triples = [
        ("rare", "g", Estimate(name, 0.0, "u", 5, p_value=p, reason=reason, against=against))
        for name, against, p, reason in (
            ("d", "random", 0.001, ""),
            ("e", "random", 0.001, ""),
            ("d", "matched", 0.04, ""),
            ("e", "matched", 0.5, ""),
            ("f", "matched", np.nan, "why"),
            ("fit", "", 0.03, ""),
        )
    ]
    triples.append(("rare", "final_g", Estimate("d", 0.0, "u", 5, p_value=0.04, against="matched")))
    frame = stats.frame_of_tests(CheckpointName("m", "step8"), triples)
    assert list(frame.columns) == MEASURE_COLUMNS
    np.testing.assert_allclose(frame["q_value"], [0.001, 0.001, 0.08, 0.5, np.nan, np.nan, 0.04])
    assert frame["reason"].tolist() == ["", "", "", "", "why", "", ""]


@pytest.mark.oracle
def test_spearman_of_draws_equals_one_row_at_a_time(rng):
    x = np.array([0, 1, 2, 4, 8, 16])
    draws = rng.normal(size=(40, 6)).round(1)
    draws[0], draws[1, :2], draws[2, :3] = 3.0, np.nan, np.nan
    found = stats.spearman_of_draws(x, draws)
    assert np.isnan(found[[0, 2]]).all(), "constant, and three values"
    for row in [1, *range(3, 40)]:
        known = np.isfinite(draws[row])
        assert found[row] == pytest.approx(stats.spearman(x[known], draws[row, known]))
    assert np.isnan(stats.spearman_of_draws(x[:3], draws[:, :3])).all()


def test_moved_draws_keep_their_spread_and_take_the_value_s_place():
    draws = np.array([1.0, np.nan, 3.0, 5.0])
    np.testing.assert_allclose(stats.moved_to(10.0, draws), [8.0, np.nan, 10.0, 12.0])
    assert stats.moved_to(1.0, np.empty(0)).size == 0
    assert np.isnan(stats.moved_to(1.0, np.full(3, np.nan))).all()


def bcg_trials() -> tuple[np.ndarray, np.ndarray]:
    """Log risk ratios and standard errors of the 13 trials of BCG vaccine (Colditz et al. 1994), from their tables."""
    counts = """4 119 11 128|6 300 29 274|3 228 11 209|62 13536 248 12619|33 5036 47 5761|180 1361 372 1079
        8 2537 10 619|505 87886 499 87892|29 7470 45 7232|17 1699 65 1600|186 50448 141 27197|5 2493 3 2338
        27 16886 29 17825"""
    ill, well, ill_control, well_control = np.array(counts.replace("|", " ").split(), dtype=float).reshape(-1, 4).T
    n, n_control = ill + well, ill_control + well_control
    values = np.log(ill / n / (ill_control / n_control))
    return values, np.sqrt(1 / ill - 1 / n + 1 / ill_control - 1 / n_control)


@pytest.mark.oracle
def test_random_effects_of_the_bcg_trials_are_the_published_ones():
    """Paule-Mandel variance 0.3181 and I squared 92.12 %, as the R package metafor documents for these trials."""
    values, errors = bcg_trials()
    found = stats.random_effects(values, errors, 0.0)
    assert found.spread**2 == pytest.approx(0.3181, abs=5e-5)
    assert found.mean == pytest.approx(-0.715, abs=1e-3)
    assert found.heterogeneity == pytest.approx(0.9212, abs=5e-5)
    assert found.p_value < 0.01
    weights = 1 / (errors**2 + found.spread**2)
    own = 2.178813 * np.sqrt(weights @ (values - found.mean) ** 2 / weights.sum() / 12)  # Student's t, 12 degrees
    assert found.ci_high - found.mean == pytest.approx(max(own, 1.959964 * weights @ errors / weights.sum()), rel=1e-6)
    assert own == pytest.approx(0.3941, abs=1e-4), "trials do not share patients; models may share documents"


@pytest.mark.oracle
def test_random_effects_of_two_models_by_hand():
    """0 and 4 with errors 1 and 1: scatter 8 against 1, so the variance between is 7, error 2, t(1) 12.7062."""
    found = stats.random_effects(np.array([0.0, 4.0]), np.array([1.0, 1.0]), 2.0)
    assert (found.mean, found.spread**2, found.heterogeneity) == pytest.approx((2, 7, 7 / 8))
    assert (found.ci_low, found.ci_high) == pytest.approx((2 - 2 * 12.7062, 2 + 2 * 12.7062), abs=1e-3)
    assert found.p_value == pytest.approx(1)
    alike = stats.random_effects(np.array([1.0, 1.0, 1.0]), np.array([0.3, 0.3, 0.3]), 0.0)
    assert (alike.spread, alike.heterogeneity) == (0, 0)
    assert alike.ci_high - 1 == pytest.approx(4.302653 * 0.3 / np.sqrt(3), rel=1e-6)  # no narrower for agreeing
    assert alike.p_value == pytest.approx(0.0285, abs=1e-3)


@pytest.mark.calibration
@pytest.mark.parametrize(("between", "shared"), [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (0.3, 0.7)])
def test_interval_over_models_holds_the_mean_of_all_also_where_they_share_documents(between, shared):
    """2 to 12 models with errors from 0.2 to 1.5, a part of them in common: at least 94 % of 400 draws."""
    rng = np.random.default_rng(3)
    inside, rejected, found_off_zero = [], [], []
    for _ in range(400):
        errors = rng.uniform(0.2, 1.5, size=rng.integers(2, 13))
        own = np.sqrt(1 - shared) * rng.normal(size=len(errors)) + np.sqrt(shared) * rng.normal()
        found = stats.random_effects(5 + between * rng.normal(size=len(errors)) + errors * own, errors, 5.0)
        inside.append(found.ci_low <= 5 <= found.ci_high)
        rejected.append(found.p_value <= 0.05)
        found_off_zero.append(found.ci_low > 0)
    assert np.mean(inside) >= 0.94
    assert np.mean(found_off_zero) >= 0.8
    assert np.mean(rejected) == pytest.approx(1 - np.mean(inside), abs=0.01)
