"""Names of a training run's branches: schedules, patterns with a named step, and what a repository has instead."""

import pytest

from rareneurons.model_folders import branches

OLMO = {"source": "hub", "revision": "stage1-step{step}-tokens{tokens}B"}


def test_mistral_crfm_s_schedule():
    """Every 10 steps to 100, 50 to 2,000, 100 to 20,000 and 1,000 to 400,000."""
    steps = sorted(branches.SCHEDULES["mistral-crfm"].steps)
    by_hand = [
        step
        for step in range(1, 400001)
        if (step <= 100 and step % 10 == 0)
        or (100 < step <= 2000 and step % 50 == 0)
        or (2000 < step <= 20000 and step % 100 == 0)
        or (step > 20000 and step % 1000 == 0)
    ]
    assert steps == by_hand
    assert {10, 30, 100, 150, 950, 2000, 9900, 20000, 99000, 212000, 400000} <= set(steps), (
        "some that its repositories have"
    )
    assert not {5, 110, 2050, 20100} & set(steps)


@pytest.mark.parametrize(
    ("model", "checkpoint", "revision"),
    [
        ({}, "step512", "step512"),
        ({}, "main", "main"),
        ({"schedule": "pythia"}, "step512", "step512"),
        ({"schedule": "mistral-crfm"}, "step400", "checkpoint-400"),
        ({"schedule": "mistral-crfm"}, "main", "main"),
        ({"schedule": "pythia", "revision": "at-{step}"}, "step512", "at-512"),
        (OLMO, "step10000", "stage1-step10000-tokens{tokens}B"),
        (OLMO | {"commits": {"step10000": "a" * 40}}, "step10000", "a" * 40),
        (OLMO | {"commits": {"step10000": "a" * 40}}, "step0", "stage1-step0-tokens{tokens}B"),
    ],
)
def test_branch_of_a_checkpoint(model, checkpoint, revision):
    assert branches.revision_of(model, checkpoint) == revision


def test_open_parts_are_filled_in_by_what_the_repository_has():
    names = ["main", "stage1-step1000-tokens3B", "stage1-step10000-tokens21B", "step1000-tokens3B"]
    assert branches.branches_like("stage1-step1000-tokens{tokens}B", names) == ["stage1-step1000-tokens3B"]
    assert branches.branches_like("stage1-step10000-tokens{tokens}B", names) == ["stage1-step10000-tokens21B"]
    assert branches.branches_like("stage1-step100-tokens{tokens}B", names) == []
    assert branches.branches_like("main", names) == ["main"]
    both = ["stage2-ingredient1-step1000-tokens5B", "stage2-ingredient2-step1000-tokens5B"]
    assert branches.branches_like("stage2-ingredient{part}-step1000-tokens{tokens}B", both) == both
    assert branches.branches_like("a.b", ["axb"]) == [], "a dot is a dot"


def test_nearest_names_are_shown_and_no_more_than_a_few():
    names = [f"checkpoint-{step}" for step in range(10, 1000, 10)]
    shown = branches.nearest_branches("step400", names)
    assert "checkpoint-400" in shown
    assert shown.endswith(", ...")
    assert len(shown.split(", ")) == branches.SHOWN + 1
    assert branches.nearest_branches("step9", ["step0", "main"]) == "step0, main"
    assert branches.nearest_branches("step9", []) == "none"
