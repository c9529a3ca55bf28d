"""Commands, their arguments and their exit status."""

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import NoReturn

import rareneurons
from rareneurons.errors import RareNeuronsError

FAILED = 2  # exit status of an error
ABOUT = "Find neurons of language models that matter for rare tokens, and audit the checkpoints of published runs."
MORE = """
examples:
  rareneurons audit EleutherAI/pythia-70m                    every branch that is named after a step
  rareneurons audit EleutherAI/pythia-70m --revisions step0 step1 step512 --json
  rareneurons where results/demo/neox-small/training/step512 "The cat" --tokenizer results/demo/inputs/tokenizers/...
  rareneurons influence openai-community/gpt2 texts.jsonl --out influence.parquet
  rareneurons export results/demo neox-small exported --creator "My group" --license cc-by-4.0

exit status: 0, or 1 if audit or compare found something, or 2 after an error. docs/command_line.md has more.
"""
AUDIT = """
Compare the file hashes of a run's checkpoints, and small samples of their weights, which are read in parts. Nothing is
downloaded as a whole. Findings:

  missing     no such branch or folder, no weights in it, or a step that the run's own spacing implies
  duplicate   the same weights as a later step
  mixed       some weight files are those of a later step
  outlier     far from the steps before and after, which are close to each other
  misplaced   closer to the last step than a later step is
  unrelated   the run breaks here: the weights do not continue those of the step before, or were not continued
  seed        (with --beside) the weights continue those of a run that names another weight seed

exit status: 0 if every checkpoint is in order, 1 if not, 2 after an error.
"""

EXPORT = """
Write what a run found about a model, at its last checkpoint:

  FOLDER/dataset       a Hugging Face data set: tables as Parquet, and a card with licence, columns, verdicts and commit
  FOLDER/neuronpedia   neurons, their top examples and computed explanations, as Neuronpedia imports them

Nothing is uploaded. docs/command_line.md explains how to upload it.
"""


class _Parser(argparse.ArgumentParser):
    """Errors are one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(FAILED, f"error: {message}; see {self.prog} --help\n")


def parser() -> argparse.ArgumentParser:
    """Parser of all commands; the chosen one's module and name are ``command``."""
    top = _Parser(
        prog="rareneurons", description=ABOUT, epilog=MORE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    top.add_argument("--version", action="version", version=f"rareneurons {rareneurons.__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_audit(commands)
    _add_influence(commands)
    _add_where(commands)
    _add_export(commands)
    compare = commands.add_parser("compare", help="list what differs between two finished runs")
    compare.add_argument("first", type=Path, metavar="RUN", help="results/<run>")
    compare.add_argument("second", type=Path, metavar="RUN", help="results/<another run>")
    compare.add_argument("--csv", type=Path, metavar="FILE", help="write everything listed to this file too")
    return top


def _add_audit(commands: "argparse._SubParsersAction[_Parser]") -> None:
    audit = commands.add_parser(
        "audit",
        help="check whether the checkpoints of a run are what their names say",
        description=AUDIT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    audit.add_argument("source", metavar="OWNER/NAME", help="a repository on the hub, or a folder of checkpoints")
    audit.add_argument(
        "--revisions", nargs="+", metavar="NAME", help="branches, tags or commits; default: main and all steps"
    )
    audit.add_argument(
        "--beside",
        nargs="+",
        default=[],
        metavar="OWNER/NAME",
        help="other runs of the family, whose initial weights are compared",
    )
    audit.add_argument("--json", action="store_true", help="print JSON, with every number")
    audit.add_argument("--quiet", action="store_true", help="show no progress")


def _add_influence(commands: "argparse._SubParsersAction[_Parser]") -> None:
    influence = commands.add_parser(
        "influence",
        help="measure the change of the loss when each neuron of the last MLP is ablated",
        description="Print the neurons that matter most for rare tokens, on held-out documents, in nats.",
    )
    _add_model(influence)
    influence.add_argument(
        "texts", metavar="TEXTS", help="a .jsonl, .txt or .parquet file of documents, or the folder of a run's rows"
    )
    influence.add_argument(
        "--counts", metavar="FILE", help=".npy file with the token counts of the training corpus; default: of TEXTS"
    )
    influence.add_argument(
        "--rare", default="paper_rare", metavar="BAND", help="preset, or two rank fractions such as 0.5,1"
    )
    influence.add_argument("--common", default="paper_common", metavar="BAND", help="the same for common tokens")
    influence.add_argument("--top", type=int, default=10, metavar="N", help="neurons to print (10)")
    influence.add_argument("--out", type=Path, metavar="FILE", help="write the whole table: .parquet or .csv")
    influence.add_argument("--seed", type=int, default=0, help="seed of all random draws (0)")


def _add_where(commands: "argparse._SubParsersAction[_Parser]") -> None:
    where = commands.add_parser(
        "where",
        help="show which neurons matter at which tokens of a text",
        description="For each token of a text, print the neurons whose ablation changes its loss most, in nats.",
    )
    _add_model(where)
    where.add_argument("text", metavar="TEXT", help="one text, in quotes")
    where.add_argument("--top", type=int, default=3, metavar="N", help="neurons per token (3)")


def _add_export(commands: "argparse._SubParsersAction[_Parser]") -> None:
    export = commands.add_parser(
        "export",
        help="write a model of a finished run in the formats of Hugging Face and Neuronpedia",
        description=EXPORT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    export.add_argument("run", type=Path, metavar="RUN", help="results/<run>")
    export.add_argument("model", metavar="MODEL", help="name of a model in the run")
    export.add_argument("folder", type=Path, metavar="FOLDER", help="new or empty folder to write to")
    export.add_argument(
        "--creator", type=_name, default="unknown", metavar="NAME", help="person or group that publishes it"
    )
    export.add_argument(
        "--license",
        type=_name,
        default="unknown",
        metavar="ID",
        help="identifier on the Hugging Face hub, such as cc-by-4.0",
    )


def _name(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("found an empty text, expected a name")
    return text


def _add_model(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "model", metavar="MODEL", help="a folder in the form that save_pretrained writes, or OWNER/NAME on the hub"
    )
    command.add_argument("--revision", metavar="NAME", help="branch, tag or commit on the hub (main)")
    command.add_argument("--tokenizer", metavar="FOLDER", help="default: the one beside the model")
    command.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    command.add_argument("--quiet", action="store_true", help="show no progress")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns its exit status."""
    given = parser().parse_args(arguments)
    run = import_module(f"rareneurons.command_line.{given.command}").run
    try:
        return int(run(given))
    except RareNeuronsError as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
    except OSError as error:
        print(f"error: {error.filename or 'the system'}: {error.strerror or error}", file=sys.stderr)
    except KeyboardInterrupt:
        print("error: interrupted", file=sys.stderr)
    return FAILED
