"""Two runs compared: nothing for equal ones, planted differences found, chance differences as many as foretold."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from conftest import PROJECT

from rareneurons.comparison.runs import compare_runs, comparison_text, difference_p
from rareneurons.errors import RunError
from rareneurons.tables import MEASURE_KEYS, CheckpointName, Estimate, measure_frame


def claims(**verdicts):
    rows = [
        {"claim": claim, "model": "a", "value": 0.5, "ci_low": 0.4, "ci_high": 0.6, "verdict": verdict}
        for claim, verdict in verdicts.items()
    ]
    return pd.DataFrame(rows)


def measures(values, half=1.0, model="a", first=0):
    estimates = [
        ("rare", "plateau", Estimate(f"m{first + i}", value, "u", 9, value - half, value + half))
        for i, value in enumerate(values)
    ]
    return measure_frame(CheckpointName(model, "step4"), estimates)


def run(values=(0.0, 1.0), half=1.0, verdict="supported", **tables):
    return {"claims": claims(C1=verdict, C2="undecided"), "coordination": measures(values, half), **tables}


def test_equal_runs_have_nothing_to_say():
    found = compare_runs(run(), run())
    assert found.equal
    assert (found.n_verdicts, found.n_numbers, found.n_bare) == (2, 2, 0)
    assert found.table().empty
    text = comparison_text(found, ("x", "y"))
    assert "Verdicts that differ: 0 of 2" in text
    assert "beyond their intervals: 0 of 2; 0 would differ by chance" in text
    assert "Only in x: 0 rows" in text


@pytest.mark.parametrize(("shift", "listed"), [(1.40, 0), (1.43, 1), (-1.40, 0), (-1.43, 1)])
def test_zero_must_lie_outside_the_interval_of_the_difference(shift, listed):
    """Both intervals have half-width 1, so the difference's is sqrt(2)."""
    found = compare_runs(run((0.0, 1.0)), run((shift, 1.0)))
    assert len(found.numbers) == listed
    assert found.numbers["measure"].tolist() == ["m0"] * listed
    assert found.equal == (listed == 0)


def pair(first, second):
    names = ("value", "ci_low", "ci_high")
    columns = dict(zip([f"{n}_first" for n in names] + [f"{n}_second" for n in names], (*first, *second), strict=True))
    return pd.DataFrame([columns])


def test_the_facing_halves_of_the_intervals_count():
    """Up from 0: the first one's upper half, 3, and the second one's lower half, 4; their root sum of squares is 5."""
    up, down = pair((0, -9, 3), (5, 1, 99)), pair((5, 1, 99), (0, -9, 3))
    assert difference_p(up)[0] == pytest.approx(0.05, abs=1e-12)
    assert difference_p(down)[0] == pytest.approx(0.05, abs=1e-12)
    assert difference_p(pair((0, -3, 9), (-5, -99, -1)))[0] == pytest.approx(0.05, abs=1e-12)


def test_intervals_without_width():
    assert difference_p(pair((1, 1, 1), (1, 1, 1)))[0] == 1
    assert difference_p(pair((1, 1, 1), (2, 2, 2)))[0] == 0
    assert difference_p(pair((1, 0.2, 0.5), (2, 2, 3)))[0] == 0  # both facing ends fall short of their values


@pytest.mark.calibration
def test_as_many_differ_by_chance_as_foretold_and_none_after_adjusting(rng):
    """4,000 numbers of equal truth, unlike errors: 5 % listed; 40 moved by 12 errors: all kept."""
    error = np.exp(rng.normal(size=4000))
    first, second = (rng.normal(scale=error) for _ in range(2))
    frames = [measures(values) for values in (first, second)]
    for frame in frames:
        frame["ci_low"], frame["ci_high"] = frame["value"] - 1.96 * error, frame["value"] + 1.96 * error
    null = compare_runs(run(coordination=frames[0]), run(coordination=frames[1]))
    assert null.by_chance == 200
    assert 160 < len(null.numbers) < 240
    assert (null.numbers["q_value"] <= 0.05).sum() <= 1
    frames[1].loc[:39, ["value", "ci_low", "ci_high"]] += 12 * error[:40, None]
    found = compare_runs(run(coordination=frames[0]), run(coordination=frames[1])).numbers
    kept = set(found.loc[found["q_value"] <= 0.05, "measure"])
    assert {f"m{i}" for i in range(40)} <= kept
    assert len(kept) < 48


def test_verdicts_come_first_then_numbers_then_what_one_run_has():
    first = run((0.0, 1.0), spectra=measures([1.0], model="b"))
    second = run((9.0, 1.0), verdict="contradicted", attention=measures([1.0, 2.0], first=7))
    found = compare_runs(first, second)
    assert found.verdicts[["claim", "verdict_first", "verdict_second"]].to_numpy().tolist() == [
        ["C1", "supported", "contradicted"]
    ]
    listed = found.table()
    assert listed["kind"].tolist() == ["verdict", "number", "only in first", "only in second", "only in second"]
    assert listed["table"].tolist() == ["claims", "coordination", "spectra", "attention", "attention"]
    text = comparison_text(found, ("results/x", "results/y"))
    order = [
        "C1 a: supported -> contradicted: 0.5 (0.4 to 0.6) -> 0.5 (0.4 to 0.6)",
        "coordination: a/step4 rare plateau m0: 0 (-1 to 1) -> 9 (8 to 10), q = ",
        "Only in results/x: 1 rows\n  spectra: 1 of b",
        "Only in results/y: 2 rows\n  attention: 2 of a",
    ]
    places = [text.index(part) for part in order]
    assert places == sorted(places)


def test_a_value_that_one_run_lacks_is_no_difference_in_size():
    first, second = run(), run()
    second["coordination"].loc[0, "value"] = np.nan
    found = compare_runs(first, second)
    assert found.n_numbers == 1
    assert found.only[["kind", "measure"]].to_numpy().tolist() == [["only in first", "m0"]]


def test_numbers_without_an_interval_are_counted_and_not_judged():
    first, second = run((0.0, 1.0, 2.0)), run((0.0, 9.0, 2.0))
    for one in (first, second):
        one["coordination"].loc[1:, "ci_low"] = np.nan
    found = compare_runs(first, second)
    assert found.equal
    assert (found.n_numbers, found.n_bare, found.n_unequal) == (1, 2, 1)


def test_tables_that_are_no_measures_take_no_part():
    groups = pd.DataFrame({"model": ["a"], "neuron": [3]})
    assert compare_runs(run(groups=groups), run(groups=groups.assign(neuron=4))).equal


@pytest.mark.faults
def test_runs_that_do_not_fit_are_refused():
    with pytest.raises(RunError, match=r"^claims.csv with the columns .* is needed; found coordination"):
        compare_runs({"coordination": measures([1.0])}, run())
    with pytest.raises(RunError, match="found columns claim, model"):
        compare_runs(run(), {"claims": claims(C1="supported").drop(columns="verdict")})
    older = run(coordination=measures([1.0]).drop(columns=["p_value", "unit"]))
    with pytest.raises(RunError, match="^table coordination: the second run lacks p_value, unit, .* versions"):
        compare_runs(run(), older)
    with pytest.raises(RunError, match="^table coordination: the first run lacks p_value, unit"):
        compare_runs(older, run())
    double = run(coordination=pd.concat([measures([1.0])] * 2))
    with pytest.raises(RunError, match="table coordination of the second run has two rows for a, step4, 4, rare"):
        compare_runs(run(), double)


def written(folder, tables):
    (folder / "tables").mkdir(parents=True)
    for name, table in tables.items():
        table.to_csv(folder / ("claims.csv" if name == "claims" else f"tables/{name}.csv"), index=False)
    return folder


def compared(*arguments):
    command = [sys.executable, PROJECT / "scripts/compare_runs.py", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_command_says_what_differs_and_exits_as_diff_does(tmp_path):
    a, b = written(tmp_path / "a", run()), written(tmp_path / "b", run((9.0, 1.0)))
    same = compared(a, a)
    assert (same.returncode, same.stderr) == (0, "")
    file = tmp_path / "differences.csv"
    other = compared(a, b, "--csv", file)
    assert other.returncode == 1
    assert "beyond their intervals: 1 of 2" in other.stdout
    listed = pd.read_csv(file)
    assert listed[["kind", "table", "measure", "value_second"]].to_numpy().tolist() == [
        ["number", "coordination", "m0", 9.0]
    ]
    assert set(MEASURE_KEYS) <= set(listed)


@pytest.mark.faults
def test_command_names_what_is_missing(tmp_path):
    a = written(tmp_path / "a", run())
    gone = compared(a, tmp_path / "gone")
    assert gone.returncode == 2
    assert gone.stderr == f"error: {tmp_path}/gone: no such folder; expected the folder of a run, results/<run>\n"
    (a / "claims.csv").unlink()
    assert "claims.csv with the columns" in compared(a, a).stderr
