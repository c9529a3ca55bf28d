"""The benchmark's own code: models of every shape's kind, and the plot of how time grows."""

import importlib.util

import pandas as pd
import pytest
from conftest import PROJECT

pytestmark = pytest.mark.usefixtures("style")


@pytest.fixture
def benchmark():
    spec = importlib.util.spec_from_file_location("benchmark_influence", PROJECT / "benchmarks/influence.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


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
