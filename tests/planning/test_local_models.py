"""Local models that cannot serve are refused before any job; those that cannot be read are left to their own job."""

import json
import subprocess
import sys

import pytest

from rareneurons.errors import ConfigurationError
from rareneurons.planning.local_models import refuse_local_models

pytestmark = pytest.mark.faults
GPT2 = {"model_type": "gpt2", "n_embd": 16, "n_layer": 2, "n_head": 2, "vocab_size": 61, "n_positions": 32}


def configuration_of(tmp_path, block_length: int = 32, **contents) -> dict:
    """A configuration with one model, whose checkpoints have these config.json files."""
    for name, content in contents.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(content if isinstance(content, str) else json.dumps(content))
    places = {name: str(tmp_path / name) for name in contents}
    other = {"name": "other", "source": "hub"}
    model = {"name": "mine", "source": "local", "folders": places}
    return {"models": [other, model], "rows": {"block_length": block_length}}


def test_checkpoints_of_one_model_pass(tmp_path):
    refuse_local_models(configuration_of(tmp_path, step1=GPT2, step2=GPT2, step3="{", step4="[]", step5={}))


@pytest.mark.parametrize("key", ["n_positions", "max_position_embeddings"])
def test_rows_longer_than_the_context_are_refused_by_their_key(tmp_path, key):
    model = {name: value for name, value in GPT2.items() if name != "n_positions"} | {key: 16}
    with pytest.raises(
        ConfigurationError,
        match=r"^rows\.block_length: found 32, but models\[1\] \(mine, .*/main\) was trained for 16 positions; .* 16",
    ):
        refuse_local_models(configuration_of(tmp_path, main=model))


@pytest.mark.parametrize(
    ("key", "value"), [("n_embd", 32), ("vocab_size", 64), ("n_layer", 3), ("n_head", 4), ("n_inner", 24)]
)
def test_checkpoints_of_different_sizes_are_named(tmp_path, key, value):
    small = GPT2 | {"n_inner": 48}
    config = configuration_of(tmp_path, step1=small, step2=small, step3=small | {key: value})
    sizes = rf"{small[key]} at step1, step2; {value} at step3\. "
    with pytest.raises(ConfigurationError, match=rf"^models\[1\]\.folders: mine: .* differ in {key}: {sizes}"):
        refuse_local_models(config)


def test_an_adapter_is_refused(tmp_path):
    config = configuration_of(tmp_path, main=GPT2)
    (tmp_path / "main/adapter_config.json").write_text("{}")
    with pytest.raises(ConfigurationError, match=r"^models\[1\]\.folders\.main: '.*/main' holds an adapter .* merge"):
        refuse_local_models(config)


def test_planning_imports_nothing_large():
    code = "import sys, rareneurons.planning.local_models, rareneurons.planning.devices; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert {"torch", "transformers", "numpy", "pandas"}.isdisjoint(loaded)
