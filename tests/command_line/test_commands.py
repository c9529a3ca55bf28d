"""The command ``rareneurons``: help that teaches, errors in one line with status 2."""

import pytest

from rareneurons.command_line import main
from rareneurons.command_line.influence import band_of
from rareneurons.errors import ConfigurationError

COMMANDS = ("audit", "influence", "where", "compare", "export")


def test_help_names_the_commands_and_shows_examples(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    said = capsys.readouterr().out
    assert all(f"\n    {command}" in said for command in COMMANDS)
    assert "examples:" in said


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_says_what_it_does(command, capsys):
    with pytest.raises(SystemExit, match="0"):
        main([command, "--help"])
    assert f"usage: rareneurons {command}" in capsys.readouterr().out


def test_help_of_the_audit_explains_every_finding(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["audit", "--help"])
    said = capsys.readouterr().out
    assert all(
        f"  {name} " in said for name in ("missing", "duplicate", "mixed", "outlier", "misplaced", "unrelated", "seed")
    )


@pytest.mark.faults
@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["audti"],
        ["audit"],
        ["where", "model", "text", "--top", "many"],
        ["where", "/no/such/folder", "text"],
        ["influence", "/no/such/folder", "texts.txt", "--out", "table.xlsx"],
        ["compare", "/no/such/run", "/no/such/run"],
        ["export", "/no/such/run", "model", "/no/such/folder"],
        ["audit", "one-word"],
    ],
    ids=" ".join,
)
def test_errors_are_one_line_with_status_2(arguments, capsys):
    try:
        status = main(arguments)
    except SystemExit as stopped:
        status = stopped.code
    captured = capsys.readouterr()
    assert status == 2
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1
    assert captured.out == ""


def test_bands_on_the_command_line():
    assert band_of("paper_rare") == "paper_rare"
    assert band_of("0.5, 1") == (0.5, 1.0)
    assert band_of("0.15,elbow") == (0.15, "elbow")
    with pytest.raises(ConfigurationError, match="band: found 'low,high'"):
        band_of("low,high")
