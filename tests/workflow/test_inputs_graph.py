"""Files that a user gives: one that is rewritten in place is seen, and one that cannot serve is named."""

import importlib.util
import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import yaml
from conftest import copy_project, snakemake

from rareneurons.tokens import train_tokenizer

pytestmark = pytest.mark.workflow
ROWS = "results/given/inputs/rows/mine/rows.parquet"
COUNTS = "results/given/inputs/counts/mine/counts.npy"
MINE = ("--configfile", "config/given.yaml")
TOKENIZER = {"name": "mine", "source": "local", "folder": "folder"}


def texts() -> list[str]:
    rng = np.random.default_rng(0)
    words = ["".join(rng.choice(list("abcdefghij"), 4)) for _ in range(300)]
    return [" ".join(words[int(300 * part)] for part in rng.random(60) ** 3) for _ in range(80)]


@pytest.fixture(scope="module")
def given(tmp_path_factory) -> Path:
    """A project with a corpus and a tokenizer of the user's own, whose rows are chosen."""
    project = copy_project(tmp_path_factory.mktemp("given"))
    documents = texts()
    (project / "texts.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in documents))
    train_tokenizer(documents, 400).save_pretrained(project / "folder")
    configure(project, counts={"source": "corpus", "corpus": "texts"})
    snakemake(project, ROWS, *MINE)
    return project


def configure(project: Path, counts: dict, corpus_file: str = "texts.jsonl", *more_corpora: dict) -> None:
    smoke = yaml.safe_load((project / "config/smoke.yaml").read_text())
    corpus = {"name": "texts", "source": "file", "file": corpus_file, "text_column": "text", "min_characters": 5}
    rows = smoke["rows"] | {"corpus": "texts", "rows_per_condition": 40, "elbow": {"rule": "mass", "mass": 0.9}}
    model = {"name": "model", "source": "local", "tokenizer": "mine", "folder": "weights"}
    (project / "weights").mkdir(exist_ok=True)
    (project / "weights/config.json").write_text("{}")
    changes = {
        "run": "given",
        "corpora": [corpus | {"evaluation_share": 0.5}, *(corpus | other for other in more_corpora)],
        "tokenizers": [TOKENIZER | {"counts": counts}],
        "models": [model],
        "rows": rows,
    }
    (project / "config/given.yaml").write_text(yaml.safe_dump(smoke | changes))


@pytest.fixture
def project(given, tmp_path) -> Path:
    return shutil.copytree(given, tmp_path / "project", symlinks=True)


def planned(project: Path) -> set[str]:
    """Rules that would run to bring the rows up to date."""
    plan = snakemake(project, "-n", ROWS, *MINE).stdout
    stats = plan.split("Job stats:")[1].split("total")[0] if "Job stats:" in plan else ""
    return set(re.findall(r"^(\w+) +\d+$", stats, flags=re.M))


def rewrite(file: Path, content: bytes, older: bool) -> None:
    """As `cat new > file` does; or as `cp -p` of an older file."""
    before = file.stat()
    with open(file, "r+b") as handle:
        handle.truncate(0)
        handle.write(content)
    if older:
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns - 10**12))


def test_rows_that_are_up_to_date_are_left_alone(given):
    assert planned(given) == set()


@pytest.mark.parametrize("older", [False, True], ids=["newer", "older"])
@pytest.mark.parametrize(
    ("name", "rules"),
    [("folder/tokenizer.json", {"token_stream", "rows"}), ("texts.jsonl", {"corpus", "token_stream", "rows"})],
)
def test_a_file_that_is_rewritten_in_place_is_seen(project, name, rules, older):
    content = (project / name).read_bytes()
    rewrite(project / name, content.replace(b"a", b"b"), older)
    assert planned(project) == rules


def test_a_file_added_to_the_folder_is_seen_only_if_it_is_the_tokenizer_s(project):
    (project / "folder/model.safetensors").write_bytes(b"weights")
    (project / "folder/README.md").write_text("about it")
    assert planned(project) == set()
    (project / "folder/special_tokens_map.json").write_text("{}")
    assert planned(project) == {"token_stream", "rows"}


def test_counts_that_are_rewritten_in_place_are_seen_and_refused_where_they_are_none(project):
    counts = np.load(project / COUNTS)
    np.save(project / "counts.npy", counts)
    configure(project, counts={"source": "file", "file": "counts.npy"})
    snakemake(project, ROWS, *MINE)
    assert planned(project) == set()
    wrong = counts.copy()
    wrong[300] = -5
    np.save(project / "new.npy", wrong)
    rewrite(project / "counts.npy", (project / "new.npy").read_bytes(), older=True)
    assert planned(project) == {"rows"}
    done = snakemake(project, ROWS, *MINE, check=False)
    assert done.returncode
    assert "counts.npy: id 300 has the count -5 (1 such ids)" in done.stdout + done.stderr
    assert not (project / ROWS).exists()


@pytest.mark.faults
def test_an_empty_folder_and_chat_messages_are_named(project):
    for file in (project / "folder").iterdir():
        file.unlink()
    (project / "chat.jsonl").write_text('{"text": "hello there"}\n{"text": [{"role": "user", "content": "hello"}]}\n')
    configure(project, counts={"source": "corpus", "corpus": "texts"})
    done = snakemake(project, ROWS, *MINE, check=False)
    said = done.stdout + done.stderr
    assert done.returncode
    assert "tokenizers[].folder: 'folder' holds no tokenizer (found no files)" in said
    configure(project, counts={"source": "corpus", "corpus": "texts"}, corpus_file="chat.jsonl")
    done = snakemake(project, ROWS, *MINE, check=False)
    said += done.stdout + done.stderr
    assert "chat.jsonl, line 2: 'text' holds a list (a mapping first), expected text" in said
    assert "Traceback" not in said


def test_nulls_are_counted_in_the_manifest_and_the_log(project):
    with open(project / "texts.jsonl", "a") as file:
        file.write('{"text": null}\n' * 3)
    snakemake(project, "results/given/inputs/corpora/texts/manifest.json", *MINE)
    manifest = json.loads((project / "results/given/inputs/corpora/texts/manifest.json").read_text())
    assert manifest["null_texts"] == 3
    log = (project / "results/given/logs/corpus/texts.log").read_text()
    assert "texts.jsonl: 3 of 83 texts are null and left out" in log


def test_counts_may_come_from_another_corpus_than_the_rows(project):
    """A larger one, of which nothing is evaluated: all of its documents are counted."""
    counted = np.load(project / COUNTS).sum()
    more = texts() + [f"{text} {number}" for number, text in enumerate(texts())]
    (project / "more.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in more))
    second = {"name": "more", "file": "more.jsonl", "evaluation_share": 1}
    configure(project, {"source": "corpus", "corpus": "more"}, "texts.jsonl", second)
    snakemake(project, COUNTS, *MINE)
    assert np.load(project / COUNTS).sum() > 3 * counted


def test_a_folder_a_compressed_file_and_a_data_set_give_the_documents_of_their_plain_twin(tmp_path):
    project = copy_project(tmp_path)
    words = [f"document number {number}" for number in range(40)]
    lines = [json.dumps({"text": text}) + "\n" for text in words]
    (project / "plain.jsonl").write_text("".join(lines))
    with pa.CompressedOutputStream(pa.OSFile(str(project / "plain.jsonl.zst"), "wb"), "zstd") as compressed:
        compressed.write("".join(lines).encode())
    (project / "folder/more").mkdir(parents=True)
    (project / "folder/a.jsonl").write_text("".join(lines[:10]))
    (project / "folder/more/b.txt").write_text("\n\n".join(words[10:]))
    (project / "split").mkdir()
    (project / "split/train.jsonl").write_text("".join(lines))
    sources = {
        "plain": {"source": "file", "file": "plain.jsonl"},
        "zst": {"source": "file", "file": "plain.jsonl.zst"},
        "folder": {"source": "folder", "folder": "folder"},
        "data": {"source": "datasets", "folder": "split", "split": "train", "documents": 1000},
    }
    if importlib.util.find_spec("datasets") is None:
        del sources["data"]
    every = {"text_column": "text", "min_characters": 5, "evaluation_share": 0.5}
    config = {"corpora": [{"name": name} | source | every for name, source in sources.items()]}
    config["rows"] = {"corpus": "plain"}
    config["tokenizers"] = yaml.safe_load((project / "config/smoke.yaml").read_text())["tokenizers"]
    config["tokenizers"][0] |= {"corpus": "plain", "counts": {"source": "corpus", "corpus": "plain"}}
    (project / "mine.yaml").write_text(yaml.safe_dump(config))
    files = {name: f"results/smoke/inputs/corpora/{name}/documents.parquet" for name in sources}
    overlays = ("--configfile", "config/smoke.yaml", "mine.yaml")
    snakemake(project, *files.values(), *overlays)
    read = {name: pd.read_parquet(project / file) for name, file in files.items()}
    assert len(read["plain"]) == 40
    for name, documents in read.items():
        pd.testing.assert_frame_equal(documents, read["plain"], obj=name)
    (project / "folder/more/c.txt").write_text("one more document")
    plan = snakemake(project, "-n", *files.values(), *overlays).stdout
    assert re.findall(r"^(\w+) +\d+$", plan.partition("Job stats:")[2], flags=re.M)[:1] == ["corpus"]
    assert "wildcards: corpus=folder" in plan
