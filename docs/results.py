"""Keep a run's results in the repository, and print the outputs of the code in docs/results.md again.

``python docs/results.py keep results/smollm2`` copies the run's verdicts, tables, figures (PNG) and configuration to
``results/reference/smollm2``. Of larger tables it keeps the last checkpoint of each model, compressed; figures get 256
colours, a third of the bytes. ``python docs/results.py print`` runs the code blocks of
docs/results.md on what is kept, and writes what they print below them. The sentences between them are written by hand.
"""

import argparse
import contextlib
import doctest
import gzip
import io
import re
import shutil
from pathlib import Path

import pandas as pd
from PIL import Image

from rareneurons.tables import last_checkpoints

PROJECT = Path(__file__).resolve().parent.parent
PAGE, KEPT = PROJECT / "docs/results.md", PROJECT / "results/reference"
BLOCK = re.compile(r"```pycon\n(.*?)```", re.DOTALL)
LARGE = 50_000  # bytes


def keep(run: Path) -> Path:
    """Copy what a reader wants of a run; return the folder."""
    target = KEPT / run.name
    for folder in ("tables", "figures"):
        shutil.rmtree(target / folder, ignore_errors=True)
        (target / folder).mkdir(parents=True)
    for name in ("claims.csv", "claims.md"):
        shutil.copy(run / name, target / name)
    for table in sorted((run / "tables").glob("*.csv")):
        if table.stat().st_size < LARGE:
            shutil.copy(table, target / "tables" / table.name)
        else:  # without a date, so that equal tables give equal files
            (target / "tables" / f"{table.name}.gz").write_bytes(gzip.compress(_at_the_end(table), mtime=0))
    for figure in sorted((run / "figures").glob("*.png")):
        picture = Image.open(figure).convert("RGB").quantize(256, dither=Image.Dither.NONE)
        picture.save(target / "figures" / figure.name, optimize=True)
    shutil.copy(PROJECT / f"config/{run.name}.yaml", target / "config.yaml")
    return target


def _at_the_end(table: Path) -> bytes:
    """The table, with each model's last checkpoint alone where it has a row per checkpoint."""
    content = pd.read_csv(table, dtype=str, keep_default_na=False)
    if "step" in content:
        content = last_checkpoints(content.astype({"step": int}))
    return content.to_csv(index=False).encode()


def printed(text: str) -> str:
    """The page with the outputs of its code blocks, which share their variables and run in the project's folder."""
    variables: dict = {}
    with contextlib.chdir(PROJECT):
        return BLOCK.sub(lambda block: f"```pycon\n{_printed_block(block[1], variables)}```", text)


def _printed_block(block: str, variables: dict) -> str:
    lines = []
    for example in doctest.DocTestParser().get_examples(block):
        first, *more = example.source.splitlines()
        lines += [f">>> {first}", *(f"... {line}".rstrip() for line in more)]
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            exec(compile(example.source, "docs/results.md", "single"), variables)  # noqa: S102  the page's own code
        lines += output.getvalue().splitlines()
    return "\n".join(lines) + "\n"


def main() -> None:
    """Do what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("keep").add_argument("run", type=Path)
    commands.add_parser("print")
    arguments = parser.parse_args()
    if arguments.command == "keep":
        print(keep(arguments.run))
    else:
        PAGE.write_text(printed(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
