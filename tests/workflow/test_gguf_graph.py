"""A GGUF file through the real graph: unpacked once, read as a local folder, refused with one message."""

import json
import re
import sys
from pathlib import Path

import pytest
import yaml
from conftest import PROJECT, copy_project, snakemake, tiny_model

sys.path.insert(0, str(PROJECT / "tests/gguf_files"))
from tiny_gguf import WIDE, metadata, tensors_of, tokenizer_metadata, write

from rareneurons.models.checkpoints import open_checkpoint
from rareneurons.tokens import open_tokenizer, train_tokenizer

pytestmark = pytest.mark.workflow
IN_RUN = "results/smoke"
TARGETS = [f"{IN_RUN}/mine/audit.parquet", f"{IN_RUN}/inputs/tokenizers/its"]


def project_with_file(tmp_path) -> tuple[Path, tuple[str, ...]]:
    project = copy_project(tmp_path)
    backend = train_tokenizer(["the cat sat on a mat"] * 3, 270).backend_tokenizer
    model = tiny_model("llama", vocab_size=270, **WIDE)
    fields = metadata(model.config, "llama") | tokenizer_metadata(backend, "gpt-2", {"bos": 0, "eos": 0})
    write(project / "tiny.gguf", "llama", fields, tensors_of(model, "llama", "Q8_0"))
    config = yaml.safe_load((project / "config/smoke.yaml").read_text())
    config["tokenizers"] = [
        {"name": "its", "source": "gguf", "file": "tiny.gguf"} | {"counts": config["tokenizers"][0]["counts"]}
    ]
    config["models"] = [{"name": "mine", "source": "gguf", "file": "tiny.gguf", "tokenizer": "its"}]
    (project / "config/gguf.yaml").write_text(yaml.safe_dump(config))
    return project, ("--configfile", "config/gguf.yaml", "--", *TARGETS)


def test_a_file_is_unpacked_once_and_again_when_it_changes(tmp_path):
    project, arguments = project_with_file(tmp_path)
    snakemake(project, *arguments)
    folder = project / IN_RUN / "inputs/gguf/mine"
    assert open_checkpoint(str(folder)).model.config.vocab_size == 270
    assert open_tokenizer(str(project / TARGETS[1])).bos_token_id == 0
    said = json.loads((folder / "origin.json").read_text())
    assert (said["file"], said["architecture"]) == ("tiny.gguf", "llama")
    assert re.fullmatch(r"Q8_0 99\.\d\d %, F32 0\.\d\d %", said["quantisation"])
    assert "Nothing to be done" in snakemake(project, "-n", *arguments).stdout
    file = project / "tiny.gguf"
    file.write_bytes(file.read_bytes()[:-64])
    done = snakemake(project, *arguments, check=False)
    assert done.returncode
    assert "Traceback" not in done.stderr
    assert re.search(r"tiny.gguf: cannot be read as GGUF: it holds \d+ bytes and is cut off or damaged", done.stderr)
