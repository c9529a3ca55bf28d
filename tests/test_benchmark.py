"""The benchmarks' own code: models of every shape's kind, the plot of how time grows, spectra with a known tail."""

import importlib.util

import pandas as pd
import pytest
from conftest import PROJECT

pytestmark = pytest.mark.usefixtures("style")


def loaded(name: str):
    spec = importlib.util.spec_from_file_location(f"benchmark_{name}", PROJECT / f"benchmarks/{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def benchmark():
    return loaded("influence")


def test_time_against_size_is_drawn(benchmark, tmp_path):
    frame = pd.DataFrame(
        {
            "varied": ["rows"] * 3 + ["neurons"] * 3,
            "factor": [1, 2, 4] * 2,
            "seconds": [1.0, 2.1, 4.3, 1.0, 1.9, 3.6],
        }
    )
    for suffix in ("pdf", "png"):
        benchmark.draw_scaling(frame, tmp_path / f"scaling.{suffix}")
        assert (tmp_path / f"scaling.{suffix}").stat().st_size > 1000


@pytest.mark.oracle
def test_ours_agrees_with_hooked_passes_on_a_small_shape(benchmark):
    benchmark.SHAPES["tiny"] = dict(zip(benchmark.SIZES, ("llama", 24, 32, 2, 3, 97, 12), strict=True))
    case = benchmark.Case("tiny", 1, "cpu", None)
    ours = benchmark.run_ours(case, 2**28)
    assert abs(ours["effects"] - case.hooked(ours["neurons"])).max() < 1e-4


@pytest.mark.calibration
def test_simulated_spectra_have_the_tails_that_were_planted(rng):
    spectra = loaded("spectra")
    spread = spectra.spread(60, 2000, 20, rng).set_index(["weights", "measure"])
    for exponent in spectra.EXPONENTS:
        assert spread.loc[(f"tail {exponent}", "tail_exponent"), "mean"] == pytest.approx(exponent, rel=0.15)
        assert spread.loc[(f"tail {exponent}", "hill_stable"), "mean"] == pytest.approx(exponent - 1, rel=0.25)
        assert spread.loc[(f"tail {exponent}", "hill"), "distinguished"] == 1
    assert spread.loc[("student", "hill"), "distinguished"] <= 0.25
    assert (spectra.recovered(20, 12, rng)["covered"] >= 0.6).all()
