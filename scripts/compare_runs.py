"""Compare two finished runs: python scripts/compare_runs.py results/a results/b [--csv differences.csv].

Exit status as diff's: 0 if nothing is listed, 1 if something is, 2 if the runs cannot be compared.
"""

import argparse
import sys
from pathlib import Path

import pandas as pd

from rareneurons.comparison.runs import compare_runs, comparison_text
from rareneurons.errors import RareNeuronsError, RunError


def read_run(folder):
    """The tables of a run by name, its verdicts among them."""
    if not folder.is_dir():
        raise RunError(f"{folder}: no such folder; expected a run's, results/<run>")
    return {file.stem: pd.read_csv(file) for file in [*folder.glob("claims.csv"), *sorted(folder.glob("tables/*.csv"))]}


def main():
    parser = argparse.ArgumentParser(description="What differs between two finished runs.")
    parser.add_argument("first", type=Path, help="results/<run>")
    parser.add_argument("second", type=Path, help="results/<another run>")
    parser.add_argument("--csv", type=Path, help="write everything listed to this file too")
    given = parser.parse_args()
    try:
        found = compare_runs(read_run(given.first), read_run(given.second))
    except RareNeuronsError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(comparison_text(found, (str(given.first), str(given.second))), end="")
    if given.csv:
        found.table().to_csv(given.csv, index=False)
    return 0 if found.equal else 1


sys.exit(main())
