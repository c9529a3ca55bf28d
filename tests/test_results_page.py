"""docs/results.md says what the kept tables say: its code prints what is below it, and its sentences agree with it."""

import importlib.util
import re

import pandas as pd
import pytest
from conftest import PROJECT
from PIL import Image

PAGE = (PROJECT / "docs/results.md").read_text(encoding="utf-8")
NUMBER = re.compile(r"(?<![\w.])[+-]?\d+(?:[.,]\d+)*(?:e[+-]?\d+)?(?!\w)")


@pytest.fixture(scope="module")
def results():
    spec = importlib.util.spec_from_file_location("results_page", PROJECT / "docs/results.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def sections():
    """Title -> text of each section with code."""
    parts = re.split(r"^(#+ .*)$", PAGE, flags=re.MULTILINE)[1:]
    found = dict(zip(parts[::2], parts[1::2], strict=True))
    return {title: text for title, text in found.items() if "```pycon" in text}


def unsupported(results, text):
    """Numbers in the sentences of a section that its code does not print."""
    shown = {number.lstrip("+-").replace(",", "") for number in NUMBER.findall(" ".join(results.BLOCK.findall(text)))}
    said = NUMBER.findall(re.sub(r"`[^`]*`|\]\([^)]*\)", "", results.BLOCK.sub("", text)))
    return [number for number in said if number.lstrip("+-").replace(",", "") not in shown]


def test_the_page_shows_what_its_code_prints(results):
    assert results.printed(PAGE) == PAGE, "python docs/results.py print"


@pytest.mark.parametrize("title", sections())
def test_sentences_have_the_numbers_of_the_code(results, title):
    assert unsupported(results, sections()[title]) == []


def test_a_number_that_no_code_prints_is_noticed(results):
    text = "It costs +0.43 nats, 12 times 1,274.\n\n```pycon\n>>> print(0.43, 1274)\n0.43 1274\n```\n"
    assert unsupported(results, text) == ["12"]


def test_an_output_that_no_longer_holds_is_replaced(results):
    block = "```pycon\n>>> for n in (1, 2):\n...     print(n)\n{}```\n"
    assert results.printed(block.format("1\n3\n")) == block.format("1\n2\n")


def test_what_is_kept_of_a_run(results, tmp_path, monkeypatch):
    run = tmp_path / "smollm2"
    large = "model,step,text\n" + "".join(f"a,{step},{'d' * 30_000}\n" for step in (9, 10))
    for name, text in {"claims.csv": "a", "claims.md": "b", "tables/x.csv": "c", "tables/y.csv": large}.items():
        (run / name).parent.mkdir(parents=True, exist_ok=True)
        (run / name).write_text(text)
    (run / "figures").mkdir()
    Image.new("RGB", (4, 3), (7, 8, 9)).save(run / "figures/z.png")
    (run / "figures/z.pdf").write_bytes(b"f")
    monkeypatch.setattr(results, "KEPT", tmp_path / "kept")
    target = results.keep(run)
    kept = {str(file.relative_to(target)) for file in target.rglob("*") if file.is_file()}
    assert kept == {"claims.csv", "claims.md", "tables/x.csv", "tables/y.csv.gz", "figures/z.png", "config.yaml"}
    assert pd.read_csv(target / "tables/y.csv.gz")["step"].tolist() == [10]
    assert Image.open(target / "figures/z.png").convert("RGB").getpixel((1, 1)) == (7, 8, 9)
