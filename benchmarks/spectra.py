"""What the spectrum of a few neurons' weights can show: exponents of weights with and without a known tail.

.venv/bin/python benchmarks/spectra.py [neurons] [dimensions] [draws]        (35 neurons, 1,024 dimensions, 400 draws)
"""

import sys

import numpy as np
import pandas as pd

from rareneurons.spectra.measures import correlation_eigenvalues, spectrum_measures, standard_rows
from rareneurons.spectra.tails import tail_goodness, tail_interval

EXPONENTS = (1.5, 2.5, 4.0)  # of a density; Hill's exponent is smaller by one
SHOWN = ("hill", "hill_stable", "tail_exponent", "spikes")
TAIL_DRAWS = 100


def weights(kind: str, n: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """Weight rows (n, width): ``gaussian``, ``student`` (3 degrees of freedom), or ``tail <exponent>``.

    Rows of the last kind are normal. The eigenvalues of their covariance are the quantiles of a power law, in random
    directions.
    """
    if kind == "student":
        return rng.standard_t(3, size=(n, width))
    normal = rng.normal(size=(n, width))
    if kind == "gaussian":
        return normal
    quantiles = ((np.arange(n) + 0.5) / n) ** (-1 / (float(kind.split()[1]) - 1))
    directions, _ = np.linalg.qr(rng.normal(size=(n, n)))
    return directions @ (np.sqrt(quantiles)[:, None] * normal)


def spread(n: int, width: int, n_draws: int, rng: np.random.Generator) -> pd.DataFrame:
    """Mean and central 95 % of the measures of each kind of weights, and how often they differ from Gaussian ones.

    Returns:
        One row per kind and measure: ``mean``, ``low``, ``high``, ``distinguished`` (share of draws beyond the 5 % of
        Gaussian draws with the heaviest tails).
    """
    kinds = ["gaussian", "student", *(f"tail {exponent}" for exponent in EXPONENTS)]
    found = {}
    for kind in kinds:
        drawn = (standard_rows(weights(kind, n, width, rng)) for _ in range(n_draws))
        spectra = np.concatenate([correlation_eigenvalues(rows, np.arange(n)[None]) for rows in drawn])
        found[kind] = spectrum_measures(spectra, width)
    records = []
    for kind in kinds:
        for name in SHOWN:
            values, null = found[kind][name], found["gaussian"][name]
            heavier = values > np.quantile(null, 0.95) if name == "spikes" else values < np.quantile(null, 0.05)
            low, high = np.quantile(values, [0.025, 0.975])
            records.append((kind, name, values.mean(), low, high, heavier.mean()))
    return pd.DataFrame(records, columns=["weights", "measure", "mean", "low", "high", "distinguished"])


def recovered(n: int, n_draws: int, rng: np.random.Generator) -> pd.DataFrame:
    """Independent draws from a power law: share whose interval contains the exponent, its width, share rejected."""
    records = []
    for exponent in EXPONENTS:
        samples = [-np.sort(-(rng.random(n) ** (-1 / (exponent - 1)))) for _ in range(n_draws)]
        ends = np.array([tail_interval(sample, TAIL_DRAWS, rng) for sample in samples])
        inside = (ends[:, 0] <= exponent) & (exponent <= ends[:, 1])
        p = [tail_goodness(sample, TAIL_DRAWS, rng) for sample in samples]
        records.append((exponent, inside.mean(), np.median(ends[:, 1] - ends[:, 0]), np.mean(np.array(p) < 0.05)))
    return pd.DataFrame(records, columns=["exponent", "covered", "median_width", "refused"])


def main() -> None:
    n, width, n_draws = (int(given) for given in (*sys.argv[1:], *("35", "1024", "400")[len(sys.argv) - 1 :]))
    rng = np.random.default_rng(0)
    print(f"{n} neurons, {width} dimensions, {n_draws} draws")
    print(spread(n, width, n_draws, rng).to_string(index=False, float_format="{:.2f}".format))
    print(f"\n{n} independent draws from a power law")
    print(recovered(n, n_draws, rng).to_string(index=False, float_format="{:.2f}".format))


if __name__ == "__main__":
    main()
