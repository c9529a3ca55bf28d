"""The benchmarks' own code: models of every shape's kind, the plot of how time grows, spectra with a known tail."""

import collections
import importlib.util
import re

import numpy as np
import pandas as pd
import pytest
from conftest import PROJECT, random_blocks, tiny_model

from rareneurons.rows import candidate_rows
from rareneurons.tokens import Blocks

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


def test_ratios_from_a_busy_machine_say_so(benchmark):
    """Busy beside a method marks its own ratio; busy beside ours marks all ratios of the shape."""
    table = pd.DataFrame(
        [
            ("a", "hooked_forward", 300.0, 0.0),
            ("a", "batched_unembedding", 20.0, 0.9),
            ("a", "ours", 1.0, 0.05),
            ("b", "hooked_forward", 300.0, 0.0),
            ("b", "ours", 1.0, 1.0),
        ],
        columns=["shape", "method", "ratio_to_ours", "other_cores"],
    )
    marked = benchmark.with_marked_ratios(table)["ratio_to_ours"].tolist()
    assert marked == ["300", "20 (busy machine)", "1", "300 (busy machine)", "1 (busy machine)"]


def test_ratios_of_attention_from_a_busy_machine_say_so(monkeypatch):
    monkeypatch.syspath_prepend(PROJECT / "benchmarks")
    table = pd.DataFrame({"ratio_to_ours": [38.04, 1.0], "other_cores": [0.05, 0.5]})
    assert loaded("attention").with_marked_ratios(table)["ratio_to_ours"].tolist() == ["38", "1 (busy machine)"]


def test_other_processes_are_what_remains_of_the_machine(benchmark, monkeypatch):
    """In 10 s the machine was busy for 15 core-seconds: 4 of this process, 8 of its children, 3 of others."""
    fields = "user system idle iowait steal guest"
    machine = iter(
        collections.namedtuple("Times", fields)(*values) for values in ((50, 5, 200, 9, 0, 7), (62, 7, 204, 10, 1, 9))
    )
    mine, clock = iter(((1, 1, 2, 0, 0), (4, 2, 9, 1, 0))), iter((100.0, 110.0))
    monkeypatch.setattr(benchmark.psutil, "cpu_times", lambda: next(machine))
    monkeypatch.setattr(benchmark.os, "times", lambda: next(mine))
    monkeypatch.setattr(benchmark.time, "monotonic", lambda: next(clock))
    with benchmark.OtherProcesses() as others:
        pass
    assert others.cores == pytest.approx(0.3)


def test_tokens_of_three_kinds_of_batches(monkeypatch):
    """Three blocks of 10, 6 and 9 tokens whose last rows lie at 5, 4 and 7."""
    monkeypatch.syspath_prepend(str(PROJECT / "benchmarks"))
    batches = loaded("batches")
    blocks = Blocks(np.ones((3, 12), dtype=np.int32), np.array([10, 6, 9]), np.arange(3))
    rows = pd.DataFrame({"block": [0, 0, 1, 2], "position": [3, 5, 4, 7]})
    table = batches.count_tokens(batches.batches_by_kind(blocks, rows, 2))
    assert table["batches"].tolist() == [2, 2, 2]
    assert table["tokens"].tolist() == [2 * 10 + 9, 2 * 9 + 5, 2 * 8 + 5]


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


def without_numbers(lines: list[str]) -> list[list[str]]:
    """Cells of a table in Markdown, but for the measured ones."""
    return [[cell.strip() for cell in line.strip("|").split(" | ")][:2] for line in lines]


def test_the_manual_has_the_table_of_precisions_that_the_command_prints():
    precision = loaded("precision")
    page = (PROJECT / "docs/methods.md").read_text(encoding="utf-8")
    printed = precision.as_text(precision.support()).splitlines()
    start = page.index(printed[0])
    kept = page[start:].splitlines()[: len(printed)]
    assert without_numbers(kept) == without_numbers(printed)
    measured = [line for line in kept[2:] if "| yes |" in line]
    assert len(measured) == len(precision.VARIANTS)
    assert all(re.search(r"\| \d\.\de-\d\d \| \S+ \| 0?1?\.\d{5} \| \d+ \|$", line) for line in measured)


def test_errors_of_precision_are_the_worst_of_all_checkpoints_and_conditions():
    precision = loaded("precision")
    numbers = [("Q8_0", 1e-5, 0.1, 0.9, 99), ("Q8_0", 2e-5, 0.05, 0.99, 98), ("float32", 3.0, 3.0, 0.1, 1)]
    columns = ["stored", "max_difference", "median_in_se", "rank_correlation", "top_100_kept"]
    table = pd.DataFrame(numbers, columns=columns).assign(**{"pass": "float32"})
    precision.VARIANTS = [("Q8_0", "float32", "float32")]
    rows = {row[0]: row[2:] for row in precision.support(table)}
    assert rows["GGUF Q8_0"] == ["2.0e-05", "0.1", "0.90000", "98"]


@pytest.mark.oracle
def test_precision_is_measured_on_a_run_s_rows(tmp_path):
    """float64 weights and pass against themselves: no difference, all ranks kept."""
    precision = loaded("precision")
    tiny_model("llama", intermediate_size=128).save_pretrained(tmp_path / "m/training/step8")
    blocks = random_blocks()
    (tmp_path / "inputs/rows/t").mkdir(parents=True)
    np.savez(tmp_path / "inputs/rows/t/blocks.npz", **vars(blocks))
    rows = candidate_rows(blocks).assign(split="heldout", in_rare=True)
    rows.to_parquet(tmp_path / "inputs/rows/t/rows.parquet")
    precision.VARIANTS = [("float32", "float32", "float32"), ("bfloat16", "float32", "float32")]
    exact, half = precision.measured(tmp_path, ["m/training/step8"], ["rare"]).to_dict("records")
    assert exact["max_difference"] < 1e-5 < half["max_difference"]
    assert exact["rank_correlation"] > half["rank_correlation"]


@pytest.mark.calibration
def test_experts_are_found_in_the_size_of_activations_and_not_in_their_sign(rng):
    """Three experts of ten neurons; a router takes two of them at each position. The sign is drawn at random."""
    experts = loaded("experts")
    expert, document = np.repeat(np.arange(3), 10), np.repeat(np.arange(100), 10)

    def values() -> np.ndarray:
        chosen = rng.integers(0, 3, len(document))[:, None] != expert
        return chosen * rng.normal(size=(len(document), len(expert)))

    discovery, heldout = values(), values()
    signed = experts.division_by_expert(discovery, heldout, document, expert, rng)
    sizes = experts.division_by_expert(abs(discovery), abs(heldout), document, expert, rng)
    assert signed["p_value"] > 0.05
    assert abs(signed["excess"]) < 0.02
    assert abs(signed["agreement"]) < 0.2
    assert sizes["p_value"] == pytest.approx(1 / 201)
    assert sizes["ci_low"] > 0.05
    assert sizes["agreement"] == 1
    assert sizes["same_expert"] > 0.1 > 0 > sizes["other_expert"]
    by_hand = [np.corrcoef(heldout.T)[i, j] for i in range(30) for j in range(i) if expert[i] == expert[j]]
    assert signed["same_expert"] == pytest.approx(np.mean(by_hand), abs=1e-6)
