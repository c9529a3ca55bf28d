"""Put together the pages of the manual's site in ``.site/``, from which zensical builds ``site/`` (mkdocs.yml).

Usage: ``make docs``. The manual is written for GitHub: README.md at the top, guides in docs/ and config/, links between
them and to files of the project. All of it keeps its place, so that every link leads where it leads on GitHub. Pages of
the library, from its docstrings, and a page of the reports of finished runs are added.
"""

import ast
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
SITE = PROJECT / ".site"
PAGES = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "config/README.md", "docs/*.md")
SEARCH = PROJECT / "docs/iframe-worker.js"
LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)")
FENCE = re.compile(r" *```")
ITEM = re.compile(r"([-*]|\d+\.) +")
# Files of a run that are reports, with a label each.
REPORTS = {
    "report.html": "report: verdicts, figures with captions, tables, provenance",
    "snakemake_report.html": "Snakemake's own report: rules, run times, code, the same figures and captions",
}


def main() -> None:
    """Write ``.site/``; what was in it is removed."""
    shutil.rmtree(SITE, ignore_errors=True)
    pages = [page for pattern in PAGES for page in sorted(PROJECT.glob(pattern))]
    for page in pages:
        _write(page.relative_to(PROJECT), indented_by_four(page.read_text(encoding="utf-8")))
    for notebook in sorted((PROJECT / "docs/notebooks").glob("*.ipynb")):
        _write(notebook.relative_to(PROJECT).with_suffix(".md"), notebook_page(notebook))
    for file in sorted(files_linked_from(pages) - set(pages)):
        _copy(file, file.relative_to(PROJECT))
    _copy(SEARCH, SEARCH.relative_to(PROJECT))
    for name, text in library_pages(PROJECT / "src/rareneurons"):
        _write(Path("library") / name, text)
    _write(Path("reports.md"), reports_page(PROJECT / "results"))


def _write(place: Path, text: str) -> None:
    (SITE / place).parent.mkdir(parents=True, exist_ok=True)
    (SITE / place).write_text(text, encoding="utf-8")


def _copy(file: Path, place: Path) -> None:
    (SITE / place).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(file, SITE / place)


def indented_by_four(text: str) -> str:
    """Markdown in which what belongs to an item of a list is indented by four spaces.

    GitHub takes the two or three of the item's mark; Python-Markdown, which zensical uses, takes four.
    """
    lines, indent, is_code = [], 0, False
    for line in text.splitlines():
        item = None if is_code else ITEM.match(line)
        if FENCE.match(line):
            is_code = not is_code
        if item:
            indent = len(item[0])
        elif line.strip() and not line.startswith(" " * indent):
            indent = 0
        lines.append(" " * (4 - indent) + line if indent and not item and line.strip() else line)
    return "\n".join(lines) + "\n"


def notebook_page(file: Path) -> str:
    """A notebook's cells as a page: its text, and its code in fences. The badge is left out, because it is loaded."""
    parts = []
    for cell in json.loads(file.read_text(encoding="utf-8"))["cells"]:
        source = "".join(cell["source"])
        if "badge" not in cell["metadata"].get("tags", []):
            parts.append(f"```python\n{source}\n```" if cell["cell_type"] == "code" else source)
    parts.insert(1, f"[Download this notebook]({file.name})")
    return indented_by_four("\n\n".join(parts))


def files_linked_from(pages: list[Path]) -> set[Path]:
    """Files of the project that pages link to."""
    linked = {(page.parent / target).resolve() for page in pages for target in LINK.findall(page.read_text("utf-8"))}
    return {file for file in linked if file.is_file()}


def library_pages(package: Path) -> Iterator[tuple[str, str]]:
    """File name and text of one page per part of the library, which mkdocstrings fills in, and of a page of all."""
    index = ["# The library", "", "::: rareneurons", "    options: {members: false}", "", "Its parts:", ""]
    for file in sorted([*package.glob("[!_]*.py"), *package.glob("*/__init__.py")], key=_name_of_part):
        part, about = _name_of_part(file), ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
        index.append(f"- [{part}]({part}.md): {about.partition(chr(10))[0]}")
        yield f"{part}.md", f"# {part}\n\n::: rareneurons.{part}\n"
    yield "index.md", "\n".join([*index, ""])


def _name_of_part(file: Path) -> str:
    return file.parent.name if file.stem == "__init__" else file.stem


def reports_page(results: Path) -> str:
    """The page that links to the reports of the runs in a folder; the reports are copied beside it."""
    lines = [
        "# Reports of runs",
        "",
        "Every run writes `results/<run>/report.html`, a page to read: verdicts, figures, tables, provenance. "
        "Snakemake's own report adds run times and code of every rule. After a run with `config/demo.yaml`:",
        "",
        "```",
        "snakemake --configfile config/demo.yaml --report results/demo/snakemake_report.html",
        "```",
        "",
        "Those that were in `results/` when this site was built:",
        "",
    ]
    found = [file for name in REPORTS for file in sorted(results.glob(f"*/{name}"))]
    for file in found:
        place = Path("reports") / file.parent.name / file.name
        _copy(file, place)
        lines.append(f"- [{file.parent.name}]({place}), {REPORTS[file.name]}")
    return "\n".join([*lines, *([] if found else ["None. Build the site again after a run (`make docs`)."]), ""])


if __name__ == "__main__":
    main()
