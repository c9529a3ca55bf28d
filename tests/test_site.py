"""The manual's site: what its pages are put together from, and that a wrong link is found."""

import importlib.util
import json
import re

import pytest
import yaml
from conftest import PROJECT


def script(name: str):
    spec = importlib.util.spec_from_file_location(name, PROJECT / f"docs/{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


site, site_links = script("site"), script("site_links")


def test_what_belongs_to_an_item_is_indented_by_four():
    text = "* first\n  more\n\n  ```yaml\n  a:\n    b: 1\n  - no item\n  ```\n\nplain\n  kept\n1. one\n   two\n"
    expected = (
        "* first\n    more\n\n    ```yaml\n    a:\n      b: 1\n    - no item\n    ```\n\n"
        "plain\n  kept\n1. one\n    two\n"
    )
    assert site.indented_by_four(text) == expected
    code = "```\n- item\n  kept\n```\n"
    assert site.indented_by_four(code) == code


def test_every_page_of_the_manual_has_its_place_in_the_menu():
    menu = yaml.safe_load((PROJECT / "mkdocs.yml").read_text())["nav"]
    named = set(re.findall(r"[\w/]+\.md", str(menu)))
    pages = {str(file.relative_to(PROJECT)) for pattern in site.PAGES for file in PROJECT.glob(pattern)}
    pages |= {str(file.relative_to(PROJECT).with_suffix(".md")) for file in PROJECT.glob("docs/notebooks/*.ipynb")}
    assert named - {"reports.md", "library/index.md"} == pages


def test_a_notebook_s_page_has_its_text_and_code_and_loads_no_badge(tmp_path):
    cells = [
        ("markdown", "[![Open](https://elsewhere/badge.svg)](https://elsewhere)", ["badge"]),
        ("markdown", "# Title", []),
        ("code", "print(1)", []),
    ]
    kept = [{"cell_type": kind, "source": [text], "metadata": {"tags": tags}} for kind, text, tags in cells]
    (tmp_path / "one.ipynb").write_text(json.dumps({"cells": kept}))
    page = site.notebook_page(tmp_path / "one.ipynb")
    assert page == "# Title\n\n[Download this notebook](one.ipynb)\n\n```python\nprint(1)\n```\n"


def test_every_part_of_the_library_has_a_page_with_what_it_is_about():
    pages = dict(site.library_pages(PROJECT / "src/rareneurons"))
    parts = {
        path.stem
        for path in (PROJECT / "src/rareneurons").iterdir()
        if path.stem[0] not in "_" and path.suffix != ".typed"
    }
    assert {name.removesuffix(".md") for name in pages} == parts - {"py"} | {"index"}
    assert "- [stats](stats.md): Statistics that more than one" in pages["index.md"]


def test_reports_of_runs_are_linked_with_what_they_are(tmp_path, monkeypatch):
    monkeypatch.setattr(site, "SITE", tmp_path / "site")
    assert "None. Build the site again" in site.reports_page(tmp_path)
    (tmp_path / "demo").mkdir()
    for name in ("report.html", "snakemake_report.html"):
        (tmp_path / "demo" / name).write_text(name)
    page = site.reports_page(tmp_path)
    assert "- [demo](reports/demo/snakemake_report.html), Snakemake's own report: " in page
    assert (tmp_path / "site/reports/demo/report.html").read_text() == "report.html"


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ('<a href="other.html#there">x</a> <a href="#own">x</a><p id="own"></p> <a href="https://x.org">x</a>', []),
        ('<a href="folder/">x</a> <a href="../top/other.html?q=1">x</a> <a href="data.yaml">x</a>', []),
        ('<a href="nowhere.html">x</a>', ["links to nowhere.html"]),
        ('<a href="other.html#gone">x</a>', ["links to other.html#gone"]),
        ('<a href="#gone">x</a>', ["links to #gone"]),
        ('<img src="gone.png">', ["links to gone.png"]),
        ('<script src="https://cdn.org/a.js"></script>', ["loads https://cdn.org/a.js"]),
        ('<link rel="stylesheet" href="//fonts.org/a.css">', ["loads //fonts.org/a.css"]),
        ('<link rel="canonical" href="https://x.org">', []),
    ],
)
def test_links_that_lead_nowhere_and_what_is_loaded_from_elsewhere_are_found(tmp_path, text, wrong):
    top = tmp_path / "top"
    (top / "folder").mkdir(parents=True)
    (top / "page.html").write_text(text)
    (top / "other.html").write_text('<h2 id="there">x</h2>')
    (top / "folder/index.html").touch()
    (top / "data.yaml").touch()
    assert site_links.wrong_on(top / "page.html") == wrong
