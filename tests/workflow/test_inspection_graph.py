"""What a notebook computes is what the workflow computed, to the last bit."""

import pandas as pd
import pytest

import rareneurons
from rareneurons.command_line import main

pytestmark = pytest.mark.workflow
ROWS = "inputs/rows/docstrings-512"


def test_three_lines_equal_the_workflow_s_influence_table(smoke_run):
    results = smoke_run / "results/smoke"
    model = rareneurons.load(results / "neox-tiny/training/step16", device="cpu")
    table = rareneurons.influence(model, results / ROWS, progress=False)
    expected = pd.read_parquet(results / "neox-tiny/step16/influence.parquet")
    pd.testing.assert_frame_equal(table, expected, check_exact=True)
    direct = rareneurons.influence(model, results / ROWS, effect="direct", progress=False)
    assert not direct["mean_delta_loss"].equals(expected["mean_delta_loss"])


def test_command_prints_the_top_neurons_of_the_table(smoke_run, capsys, tmp_path):
    results = smoke_run / "results/smoke"
    model, out = str(results / "neox-tiny/training/step16"), tmp_path / "influence.csv"
    assert main(["influence", model, str(results / ROWS), "--quiet", "--device", "cpu", "--out", str(out)]) == 0
    lines = capsys.readouterr().out.splitlines()
    table = pd.read_csv(out)
    rare = table[(table["condition"] == "rare") & (table["split"] == "heldout")]
    top = rare.sort_values("mean_delta_loss", ascending=False)["neuron"].head(10)
    assert [int(line.split()[0]) for line in lines[1:11]] == top.tolist()
    tokenizer = str(results / "inputs/tokenizers/docstrings-512")
    assert main(["where", model, "The number of nodes in the graph.", "--tokenizer", tokenizer]) == 0
    assert "nodes" in capsys.readouterr().out
