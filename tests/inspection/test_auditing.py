"""The stand-alone audit names each fault that users reported of published runs, and nothing in an honest one.

``python tests/inspection/planted_runs.py`` counts over 50 honest runs, and 10 with each fault.
"""

import json

import pytest
from planted_runs import FAULTS, audited, named, on_hub, trained

from rareneurons.command_line import main
from rareneurons.errors import CheckpointError
from rareneurons.inspection.auditing import absent_steps, audit, named_step
from rareneurons.models.weight_seeds import weight_seed

pytestmark = pytest.mark.hub


@pytest.mark.calibration
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_each_planted_fault_is_named_and_nothing_else(tmp_path, fault):
    found, expected, _ = audited(tmp_path, 0, fault)
    assert named(found) == expected


@pytest.mark.calibration
def test_honest_run_has_no_findings_and_bytes_are_those_that_the_hub_sent(tmp_path):
    found, _, hub = audited(tmp_path, 0)
    assert named(found) == set()
    assert found.bytes_read == sum(n for name, n in hub.sent.items() if name.endswith(".safetensors"))
    assert found.seconds > 0


def test_command_says_what_it_found_by_its_exit_status(tmp_path, capsys):
    run = trained(tmp_path, 0, 0)
    with on_hub({"lab/tiny": run}):
        assert main(["audit", "lab/tiny", "--quiet", "--revisions", "step0", "step2"]) == 0
        assert "lab/tiny: 2 checkpoints, nothing found; read " in capsys.readouterr().out
        assert main(["audit", "lab/tiny", "--quiet", "--json", "--revisions", "step0", "step3"]) == 1
        content = json.loads(capsys.readouterr().out)
        assert [each["finding"] for each in content["checkpoints"]] == ["ok", "missing"]
        assert content["bytes_read"] > 0
        assert main(["audit", "lab/none", "--quiet"]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("error: lab/none: ")
    assert captured.err.count("\n") == 1
    assert captured.out == ""


def test_folder_of_checkpoints_is_audited_too(tmp_path):
    trained(tmp_path, 0, 0)
    assert named(audit(str(tmp_path), progress=False)) == set()
    assert named(audit(str(tmp_path), ["step0", "step1"], progress=False)) == {"step1: missing"}


@pytest.mark.parametrize(
    ("steps", "absent"),
    [
        ([0, 1000, 2000, 4000, 5000, 6000], [3000]),
        ([0, 1, 2, 4, 8, 16, 32, 64, 128, 512, 1000, 2000, 3000, 4000], [256]),
        ([0, 16, 32, 64, 128, 256, 512, 1000, 2000, 4000, 8000, 14000, 24000, 34000, 44000], [1, 2, 4, 8]),
        ([0, 143000], []),
        ([0, 3, 10, 50, 400], []),
        ([-1], []),
    ],
)
def test_steps_that_a_regular_spacing_asks_for(steps, absent):
    assert absent_steps(steps) == absent


@pytest.mark.parametrize(
    ("revision", "checkpoint"),
    [
        ("step512", "step512"),
        ("stage1-step1000-tokens5B", "step1000"),
        ("checkpoint-500", "step500"),
        ("main", "main"),
        ("fp16", None),
        ("misstep3", None),
    ],
)
def test_checkpoint_by_the_name_of_its_branch(revision, checkpoint):
    assert named_step(revision) == checkpoint


def test_two_branches_of_one_step_are_refused(tmp_path):
    run = trained(tmp_path, 0, 0)
    with (
        on_hub({"lab/tiny": {"stage1-step2": run["step2"], "stage2-step2": run["step4"]}}),
        pytest.raises(CheckpointError, match="stage1-step2 and stage2-step2, both of step2"),
    ):
        audit("lab/tiny", progress=False)


@pytest.mark.parametrize(
    ("repository", "seed"),
    [
        ("EleutherAI/pythia-160m", ""),
        ("EleutherAI/pythia-160m-data-seed2", ""),
        ("EleutherAI/pythia-160m-weight-seed2", "2"),
        ("EleutherAI/pythia-160m-seed3", "3"),
    ],
)
def test_weight_seed_that_a_name_says(repository, seed):
    assert weight_seed(repository) == seed
