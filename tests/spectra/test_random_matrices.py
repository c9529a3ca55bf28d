"""Random weights look random, planted directions do not."""

import numpy as np
import pytest

from rareneurons.spectra.measures import correlation_eigenvalues, spectrum_measures, standard_rows
from rareneurons.spectra.random_matrices import marchenko_pastur_distance


def eigenvalues_of(weights: np.ndarray) -> np.ndarray:
    """Of all rows as one group, (1, n)."""
    return correlation_eigenvalues(standard_rows(weights), np.arange(len(weights))[None])


@pytest.mark.calibration
@pytest.mark.parametrize(("n", "width"), [(35, 128), (33, 512), (33, 96), (100, 512), (60, 40)])
def test_gaussian_weights_are_consistent_with_random(n, width):
    """No spike in at least 95 % of 1,000 draws; a direction just above the threshold of detection is one."""
    rng = np.random.default_rng(31)
    spectra = np.concatenate([eigenvalues_of(rng.normal(size=(n, width))) for _ in range(1000)])
    spiked = np.mean(spectrum_measures(spectra, width)["spikes"] > 0)
    assert 0 < spiked <= 0.05
    weights = rng.normal(size=(n, width)) + 1.5 * np.sqrt(n / width) * rng.normal(size=width)
    assert spectrum_measures(eigenvalues_of(weights), width)["spikes"][0] >= 1


@pytest.mark.oracle
@pytest.mark.parametrize(("n", "width"), [(200, 800), (300, 150)])
def test_large_random_spectra_follow_marchenko_pastur_and_shifted_ones_do_not(rng, n, width):
    eigenvalues = eigenvalues_of(rng.normal(size=(n, width)))
    assert marchenko_pastur_distance(eigenvalues, width)[0] < 0.03
    assert marchenko_pastur_distance(eigenvalues * 1.5, width)[0] > 0.09


@pytest.mark.oracle
def test_eigenvalues_are_those_of_the_correlation_matrix(rng):
    weights = rng.normal(size=(60, 40))
    groups = np.array([rng.permutation(60)[:12] for _ in range(70)])
    found = correlation_eigenvalues(standard_rows(weights), groups)
    for group, values in zip(groups, found, strict=True):
        np.testing.assert_allclose(values, np.linalg.eigvalsh(np.corrcoef(weights[group]))[::-1], atol=1e-10)
    weights[3] = 0.1
    found = correlation_eigenvalues(standard_rows(weights.astype(np.float32)), groups)
    np.testing.assert_array_equal(np.isnan(found).all(1), (groups == 3).any(1))


def test_stable_rank_and_entropy_of_known_spectra():
    flat = spectrum_measures(np.ones((1, 16)), 64)
    assert flat["stable_rank"][0] == pytest.approx(1)
    assert flat["entropy"][0] == pytest.approx(1)
    one = np.full((1, 16), 1e-9)
    one[0, 0] = 16
    assert spectrum_measures(one, 64)["stable_rank"][0] == pytest.approx(1 / 16)
    assert spectrum_measures(one, 64)["entropy"][0] < 1e-6
