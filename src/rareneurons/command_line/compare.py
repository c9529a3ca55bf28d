"""``rareneurons compare``: what differs between two finished runs."""

from argparse import Namespace
from pathlib import Path

import pandas as pd

from rareneurons.comparison.runs import compare_runs, comparison_text
from rareneurons.errors import RunError


def read_run(folder: Path) -> dict[str, pd.DataFrame]:
    """The tables of a run by name, its verdicts among them."""
    if not folder.is_dir():
        raise RunError(f"{folder}: no such folder; expected the folder of a run, results/<run>")
    return {file.stem: pd.read_csv(file) for file in [*folder.glob("claims.csv"), *sorted(folder.glob("tables/*.csv"))]}


def run(given: Namespace) -> int:
    """Print what differs, verdicts first; returns 1 if something does, as diff."""
    found = compare_runs(read_run(given.first), read_run(given.second))
    print(comparison_text(found, (str(given.first), str(given.second))), end="")
    if given.csv:
        found.table().to_csv(given.csv, index=False)
    return 0 if found.equal else 1
