"""The real graph, end to end, as a user runs it."""

import json
import re
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from conftest import copy_project, snakemake
from oracles import hooked_delta_loss
from safetensors.numpy import load_file

from rareneurons.claims import CLAIMS
from rareneurons.models.checkpoints import open_checkpoint
from rareneurons.planning.figures import FIGURES
from rareneurons.planning.tables import MEASURES, TABLES
from rareneurons.tables import CLAIM_COLUMNS, INFLUENCE_COLUMNS, MEASURE_COLUMNS
from rareneurons.tokens import Blocks

pytestmark = pytest.mark.workflow
SMOKE = ("--configfile", "config/smoke.yaml")
# Those of the smoke run, which looks at no other layers.
JOINED_TABLES = [table.name for table in TABLES.values() if table.joined and table.section.title != "More"]


def plan_of(project, *arguments) -> tuple[dict[str, int], set[str]]:
    """Rule -> number of jobs that a dry run would start, and the figures that it would draw."""
    output = snakemake(project, "-n", *arguments).stdout
    if "Nothing to be done" in output:
        return {}, set()
    stats = output.split("Job stats:")[1].split("total")[0]
    jobs = {name: int(count) for name, count in re.findall(r"^(\w+) +(\d+)$", stats, flags=re.M)}
    return jobs, set(re.findall(r"^rule figure:\n(?:    .*\n)*?    wildcards: figure=(\w+)$", output, flags=re.M))


def planned(project, *arguments) -> dict[str, int]:
    """The jobs of :func:`plan_of`."""
    return plan_of(project, *arguments)[0]


def test_everything_promised_is_there(smoke_run):
    results = smoke_run / "results/smoke"
    for checkpoint in ("step0", "step16"):
        folder = results / "neox-tiny" / checkpoint
        influence = pd.read_parquet(folder / "influence.parquet")
        assert list(influence.columns) == INFLUENCE_COLUMNS
        assert len(influence) == 256 * 2 * (3 + 2)  # three conditions, two with shuffled labels
        for measure in MEASURES:
            table = pd.read_parquet(folder / f"{measure}.parquet")
            assert list(table.columns)[: len(MEASURE_COLUMNS)] == MEASURE_COLUMNS
            assert len(table)
        for name in ("groups", "controls"):
            assert {"group", "layer", "neuron"} <= set(pd.read_parquet(folder / f"{name}.parquet"))
        assert len(pd.read_parquet(folder / "neurons.parquet")) == 256
    others = ("groups", "group_match", "neuron_types", "weightwatcher", "conditions", "dynamics", "final_top")
    for name in (*MEASURES, *others, "audit", "provenance", "choices", "firmness", "paper_comparison"):
        assert (results / "tables" / f"{name}.csv").exists()
    assert {file.stem for file in (results / "tables").iterdir()} == set(TABLES) - {"other_layers", "screening"}
    for name in ("coordination", "spectra"):
        followed = pd.read_csv(results / "tables" / f"{name}.csv").query("group == 'final_top_33'")
        assert set(followed["checkpoint"]) == {"step0", "step16"}
    final = pd.read_csv(results / "tables/final_top.csv")
    assert set(final["step"]) == {0, 16}
    assert final.loc[final["step"] == 16, "in_top"].any()
    organization = pd.read_csv(results / "tables/organization.csv")
    assert {"random", "matched", "shift", "rotation"} <= set(organization["against"].dropna())
    for number in (1, 2, 3):
        assert set(pd.read_csv(results / f"tables/paper_table_{number}.csv")["checkpoint"]) == {"step16"}
    for name in MEASURES:
        assert set(pd.read_csv(results / "tables" / f"{name}.csv")["checkpoint"]) == {"step0", "step16"}
    pictures = {file.stem for file in (results / "figures").glob("*.png")}
    assert pictures == set(FIGURES)
    assert pictures == {file.stem for file in (results / "figures").glob("*.pdf")}
    claims = pd.read_csv(results / "claims.csv")
    assert list(claims.columns) == CLAIM_COLUMNS
    assert claims["claim"].tolist() == [claim.name for claim in CLAIMS]
    undecided = claims["verdict"] == "undecided"
    assert claims[["rule", "evidence", "sentence"]].notna().all(axis=None)
    assert claims.loc[undecided, "need"].str.contains(r"[0-9]").all()
    assert claims.loc[~undecided, "need"].isna().all()
    why_not = claims["evidence"].str.contains("no power: |no power$|power unknown|not measured: ")
    assert (claims["power"].notna() | why_not).all()


def test_every_job_left_a_log_with_its_duration_and_a_benchmark(smoke_run):
    results = smoke_run / "results/smoke"
    jobs = planned(smoke_run, "--forceall", *SMOKE)
    assert jobs.pop("all") == 1
    logs = list((results / "logs").rglob("*.log"))
    assert len(logs) == len(list((results / "benchmarks").rglob("*.tsv"))) == sum(jobs.values())
    assert all("finished in" in log.read_text() for log in logs)


@pytest.mark.oracle
def test_mean_effects_equal_hooked_passes_of_a_trained_checkpoint(smoke_run):
    """Every fourth neuron of the trained checkpoint, float64 hooked passes against the table: within 1e-6 nats."""
    results = smoke_run / "results/smoke"
    folder = results / "neox-tiny"
    architecture = open_checkpoint(str(folder / "training/step16"), torch.float64)
    rows = pd.read_parquet(results / "inputs/rows/docstrings-512/rows.parquet")
    with np.load(results / "inputs/rows/docstrings-512/blocks.npz") as arrays:
        blocks = Blocks(arrays["tokens"], arrays["length"], arrays["document"])
    trace = load_file(folder / "step16/trace.safetensors")
    table = pd.read_parquet(folder / "step16/influence.parquet")
    keys = ["condition", "split", "neuron"]
    means = table.set_index(keys)["mean_delta_loss"]
    absolute = table.set_index(keys)["mean_abs_delta_loss"]
    largest = 0.0
    for neuron in range(0, len(trace["mean_activation"]), 4):
        twin = hooked_delta_loss(architecture, blocks, rows, neuron, float(trace["mean_activation"][neuron]))
        for condition in ("rare", "common"):
            for split in ("discovery", "heldout"):
                mine = twin[(rows[f"in_{condition}"] & (rows["split"] == split)).to_numpy()]
                largest = max(largest, abs(mine.mean() - means[condition, split, neuron]))
                largest = max(largest, abs(np.abs(mine).mean() - absolute[condition, split, neuron]))
    assert absolute.max() > 1e-4, "effects must be far above the tolerance"
    assert largest < 1e-6


def test_firmness_has_every_claim_and_choice_and_is_said_with_the_verdict(smoke_run):
    """C5 to C7 are not computed under other choices; claims.md and the report count the others."""
    run = smoke_run / "results/smoke"
    firmness = pd.read_csv(run / "tables/firmness.csv")
    assert firmness.groupby("claim")["choice"].nunique().eq(8).all()
    others = firmness[firmness["choice"] != "own"]
    not_computed = others["verdict"] == "not computed"
    assert set(others.loc[not_computed, "claim"]) == {"C5", "C6", "C7"}
    assert others["reason"].notna()[not_computed].all()
    own = firmness[firmness["choice"] == "own"].merge(pd.read_csv(run / "claims.csv"), on=["claim", "model"])
    assert len(own) == 8
    assert (own["verdict_x"] == own["verdict_y"]).all()
    for page in ("claims.md", "report.html"):
        assert (run / page).read_text().count("of 7 other choices give") == 5


def test_choices_stand_beside_the_run_s_own_verdicts(smoke_run):
    """Without a condition by input token: three choices and all together, each beside what claims.csv says."""
    choices = pd.read_csv(smoke_run / "results/smoke/tables/choices.csv")
    assert set(choices["choice"]) == {"fixed cuts", "random controls", "reused documents", "all together"}
    assert set(choices["claim"]) == {"C1", "C2", "C3", "C4", "C7"}
    own = choices.merge(
        pd.read_csv(smoke_run / "results/smoke/claims.csv"), on=["claim", "model"], suffixes=("", "_own")
    )
    assert (own["proper_verdict"] == own["verdict_own"]).all()
    np.testing.assert_array_equal(own["proper_value"], own["value_own"])
    declared = choices[choices["choice"].isin(["fixed cuts", "all together"])].set_index("claim")["verdict"]
    assert set(declared["C1"]) == {"supported"}
    assert set(declared["C2"]) == {"contradicted"}


def test_a_run_does_not_differ_from_itself_and_an_edited_copy_does(smoke_run, tmp_path):
    run = smoke_run / "results/smoke"
    command = [sys.executable, smoke_run / "scripts/compare_runs.py", run]
    same = subprocess.run([*command, run], capture_output=True, text=True, check=True)
    assert f"Verdicts that differ: 0 of {len(CLAIMS)}" in same.stdout
    other = tmp_path / "other"
    shutil.copytree(run / "tables", other / "tables")
    claims = pd.read_csv(run / "claims.csv").assign(verdict="supported")
    claims.to_csv(other / "claims.csv", index=False)
    found = subprocess.run([*command, other], capture_output=True, text=True, check=False)
    assert found.returncode == 1
    assert re.search(r"C\d neox-tiny: \w+ -> supported", found.stdout)


def test_training_lowers_the_loss_and_saves_pythia_s_steps(smoke_run):
    folder = smoke_run / "results/smoke/neox-tiny"
    losses = pd.read_csv(folder / "training_loss.csv")["loss"]
    assert losses.iloc[0] == pytest.approx(np.log(512), abs=0.3)
    assert losses.iloc[-3:].mean() < losses.iloc[0] - 0.5
    assert {path.name for path in (folder / "training").iterdir() if path.name.startswith("step")} == {
        f"step{step}" for step in (0, 1, 2, 4, 8, 16)
    }


def test_corpus_is_recorded(smoke_run):
    manifest = json.loads((smoke_run / "results/smoke/inputs/corpora/docstrings/manifest.json").read_text())
    assert len(manifest["sha256"]) == 64
    assert manifest["documents"]["train"] > manifest["documents"]["evaluation"] > 60


def test_pages_hold_all_figures_and_their_links_lead_to_files(smoke_run):
    results = smoke_run / "results/smoke"
    report = (results / "report.html").read_text(encoding="utf-8")
    for picture in (results / "figures").glob("*.png"):
        assert f'id="figure-{picture.stem}"' in report
        assert (smoke_run / f"workflow/report/{picture.stem}.rst").exists()
    for table in (results / "tables").glob("*.csv"):
        assert f'href="tables/{table.name}"' in report
    links = [link for link in re.findall(r'href="([^"#]+)"', report) if "://" not in link]
    assert links
    assert "neurons/neox-tiny.html" in links
    for link in links:
        assert (results / link).exists(), link
    page = (results / "neurons/neox-tiny.html").read_text(encoding="utf-8")
    assert (results / "neurons" / re.findall(r'href="([^"]+report[^"]*)"', page)[0]).exists()
    assert (results / "neurons/plotly.min.js").exists()
    brought = {file.name for file in (results / "neurons/neox-tiny").glob("*.js")}
    assert brought == {"step0.js", "step16.js", "examples.js"}
    neurons = pd.read_parquet(results / "neox-tiny/step16/neurons.parquet")
    types = pd.read_parquet(results / "inputs/rows/docstrings-512/frequencies.parquet")
    assert set(np.concatenate(neurons["promoted"])) <= set(types["token"])


def test_second_run_has_nothing_to_do(smoke_run):
    assert planned(smoke_run, *SMOKE) == {}


def test_deleting_one_influence_file_reruns_what_depends_on_it(smoke_run):
    file = smoke_run / "results/smoke/neox-tiny/step16/influence.parquet"
    kept = file.read_bytes()
    file.unlink()
    try:
        plan = planned(smoke_run, *SMOKE)
    finally:
        file.write_bytes(kept)
        snakemake(smoke_run, "--touch", *SMOKE)
    assert plan["influence"] == plan["groups"] == plan["attention"] == 1
    assert not {"trace", "train_model", "weightwatcher", "corpus", "rows"} & set(plan)


def overlay(project, name: str, **changes) -> tuple[str, str]:
    config = yaml.safe_load((project / "config/smoke.yaml").read_text())
    for key, value in changes.items():
        config[key] = value(config[key]) if callable(value) else value
    (project / "config" / name).write_text(yaml.safe_dump(config))
    return ("--configfile", f"config/{name}")


def test_new_checkpoint_computes_only_what_is_new(smoke_run):
    more = overlay(smoke_run, "more.yaml", models=lambda models: [{**models[0], "checkpoints": [0, 4, 16]}])
    plan = planned(smoke_run, *more)
    for rule in ("trace", "influence", "regimes", "groups", "measure", "attention", "weightwatcher"):
        assert plan[rule] == 1
    assert plan["table"] == len(JOINED_TABLES)
    assert not {"train_model", "corpus", "train_tokenizer", "rows"} & set(plan)


def test_new_model_leaves_the_old_one_alone(smoke_run):
    second = overlay(
        smoke_run, "second.yaml", models=lambda models: [*models, {**models[0], "name": "other", "hidden_size": 48}]
    )
    plan = planned(smoke_run, *second)
    assert plan["train_model"] == 1
    assert plan["trace"] == plan["influence"] == plan["spectra"] == 2
    assert not {"corpus", "train_tokenizer", "rows"} & set(plan)


def test_analysis_parameter_reruns_that_analysis_alone(smoke_run):
    changed = overlay(smoke_run, "boot.yaml", coordination={"bootstrap": 25})
    plan, figures = plan_of(smoke_run, *changed)
    assert plan.pop("measure") == 2
    assert set(plan) == {
        *("table", "figure", "paper_table", "dynamics", "claims", "report", "all"),
        *("choice_measures", "choices", "firmness_measures", "firmness", "paper_comparison"),
    }
    assert plan["table"] == 1
    assert plan["paper_table"] == 2
    beside = {"choices", "firmness"}
    assert figures == {"coordination", "coordination_rows", "dynamics", "course", "selectivity"} | beside
    assert plan["figure"] == len(figures)


def test_library_edit_reruns_its_dependents_and_a_comment_does_not(smoke_run):
    module = smoke_run / "src/rareneurons/organization/communities.py"
    original = module.read_text()
    try:
        module.write_text("# a comment\n" + original)
        assert planned(smoke_run, *SMOKE) == {}
        module.write_text(original.replace("share - 0.5", "1.0 * share - 0.5"))
        plan, figures = plan_of(smoke_run, *SMOKE)
    finally:
        module.write_text(original)
    assert plan.pop("organization") == 2
    after = {"dynamics", "claims", "report", "all", "choice_measures", "choices", "paper_comparison"}
    after |= {"firmness_measures", "firmness"}
    assert set(plan) == {"table", "paper_table", "figure", *after}
    assert plan["paper_table"] == 2
    assert figures == {"organization", "communities", "dynamics", "course", "selectivity", "choices", "firmness"}


@pytest.mark.parametrize(
    ("file", "old", "new", "redrawn"),
    [
        (
            "src/rareneurons/figures/comparison.py",
            '"ratio of exponents"',
            '"exponents, ratio"',
            {"choices", "firmness"},
        ),
        ("src/rareneurons/planning/figures.py", '"largest eigenvalue', '"top eigenvalue', {"weightwatcher"}),
        ("src/rareneurons/figures/style.py", "COLUMN_WIDTH = 3.35", "COLUMN_WIDTH = 3.3", set(FIGURES)),
        ("workflow/report/hill_plot.rst", "Hill exponent", "Exponent", set()),
    ],
    ids=["its function", "its settings", "what all share", "its caption"],
)
def test_figure_edit_redraws_that_figure_and_makes_the_report_again(smoke_run, file, old, new, redrawn):
    original = (smoke_run / file).read_text()
    try:
        (smoke_run / file).write_text(original.replace(old, new))
        plan, figures = plan_of(smoke_run, *SMOKE)
    finally:
        (smoke_run / file).write_text(original)
    assert original.count(old)
    assert figures == redrawn
    assert set(plan) - {"figure"} == {"report", "all"}


def test_local_folders_give_what_the_trained_model_gave(smoke_run):
    """The same checkpoint, tokenizer and counts as local files: the same influence, to the last bit."""
    inputs = "results/smoke/inputs"
    mine = overlay(
        smoke_run,
        "local.yaml",
        run="local",
        tokenizers=[
            {
                "name": "docstrings-512",
                "source": "local",
                "folder": f"{inputs}/tokenizers/docstrings-512",
                "counts": {"source": "file", "file": f"{inputs}/counts/docstrings-512/counts.npy"},
            }
        ],
        models=[
            {
                "name": "mine",
                "source": "local",
                "tokenizer": "docstrings-512",
                "folders": {"step16": "results/smoke/neox-tiny/training/step16"},
            }
        ],
    )
    snakemake(smoke_run, "results/local/mine/step16/influence.parquet", *mine)
    found = pd.read_parquet(smoke_run / "results/local/mine/step16/influence.parquet")
    expected = pd.read_parquet(smoke_run / "results/smoke/neox-tiny/step16/influence.parquet")
    pd.testing.assert_frame_equal(found.drop(columns="model"), expected.drop(columns="model"))


@pytest.mark.faults
def test_impossible_configuration_stops_before_any_job(smoke_run):
    wrong = overlay(smoke_run, "wrong.yaml", rows=lambda rows: {**rows, "documents": 0})
    done = snakemake(smoke_run, *wrong, check=False)
    assert done.returncode
    assert "Configuration: rows.documents: 0 is less than the minimum of 1" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.faults
def test_failing_job_shows_its_message_and_keeps_the_rest(tmp_path, smoke_run):
    """A corpus too small for its tokenizer: one message, no output left behind, and a rerun with a cure succeeds."""
    project = copy_project(tmp_path)
    (project / "texts.txt").write_text("\n\n".join(f"document {i} says hello" for i in range(40)))
    corpus = [
        {
            "name": "docstrings",
            "source": "file",
            "file": "texts.txt",
            "text_column": "text",
            "min_characters": 5,
            "evaluation_share": 0.3,
        }
    ]
    broken = overlay(project, "broken.yaml", corpora=corpus)
    done = snakemake(project, *broken, check=False)
    assert done.returncode
    assert "tokenizers[].vocabulary_size: asked for 512" in done.stdout + done.stderr
    assert (project / "results/smoke/inputs/corpora/docstrings/documents.parquet").exists()
    assert not (project / "results/smoke/inputs/tokenizers/docstrings-512").exists()
    assert not list((project / "results").rglob("*.partial"))


def test_snakemake_s_own_report_is_one_offline_page(smoke_run):
    snakemake(smoke_run, *SMOKE, "--report", "results/smoke/snakemake_report.html")
    page = (smoke_run / "results/smoke/snakemake_report.html").read_text()
    assert "rank_influence" in page
    for section in {entry.section for entry in (*FIGURES.values(), TABLES["paper_table_3"])}:
        assert section.title in page
    for caption in ("Grey band: the range of 95 % of", "circular shifts of the group"):
        assert caption in re.sub(r"\s+", " ", page)
    assert not re.search(r'(src|href)="https?://[^"]*\.(js|css)"', page)
