"""Threads, tiny models of each architecture, and a finished run of the real graph."""

import os

for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")
os.environ["HF_HUB_OFFLINE"] = "1"

import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from transformers.models.gemma2 import modeling_gemma2

from rareneurons.tokens import Blocks

torch.set_num_threads(1)
PROJECT = Path(__file__).resolve().parent.parent
VOCABULARY = 61

GATED = {
    "vocab_size": VOCABULARY,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 32,
    "bos_token_id": 0,
    "eos_token_id": 0,
    "pad_token_id": None,
}
GPT_NEOX = {
    "vocab_size": VOCABULARY,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "max_position_embeddings": 32,
    "bos_token_id": 0,
    "eos_token_id": 0,
}
GPT2 = {
    "vocab_size": VOCABULARY,
    "n_embd": 16,
    "n_inner": 24,
    "n_layer": 2,
    "n_head": 2,
    "n_positions": 32,
    "bos_token_id": 0,
    "eos_token_id": 0,
}
GEMMA = GATED | {"head_dim": 4, "query_pre_attn_scalar": 4, "sliding_window": 8}
# 24 neurons a layer here, too: four experts, or three and a shared one, two a position; each is chosen somewhere.
EXPERTS = GATED | {"intermediate_size": 6, "moe_intermediate_size": 6, "num_experts": 4, "num_experts_per_tok": 2}
SHARED_EXPERT = {"num_experts": 3, "moe_intermediate_size": 4, "shared_expert_intermediate_size": 12}
# model_type -> class and configuration
TINY = {
    "gpt_neox": ("GPTNeoXForCausalLM", GPT_NEOX),
    "gpt2": ("GPT2LMHeadModel", GPT2),
    "llama": ("LlamaForCausalLM", GATED),
    "mistral": ("MistralForCausalLM", GATED),
    "qwen2": ("Qwen2ForCausalLM", GATED),
    "qwen3": ("Qwen3ForCausalLM", GATED | {"head_dim": 4}),
    "olmo": ("OlmoForCausalLM", GATED),
    "phi": ("PhiForCausalLM", GATED | {"partial_rotary_factor": 0.5}),
    "phi3": ("Phi3ForCausalLM", GATED),
    "gemma": ("GemmaForCausalLM", GATED | {"head_dim": 4}),
    "olmo2": ("Olmo2ForCausalLM", GATED),
    "olmo3": (
        "Olmo3ForCausalLM",
        GATED | {"sliding_window": 8, "layer_types": ["sliding_attention", "full_attention"]},
    ),
    "gemma2": ("Gemma2ForCausalLM", GEMMA | {"final_logit_softcapping": 4.0}),
    "gemma3_text": ("Gemma3ForCausalLM", GEMMA | {"layer_types": ["sliding_attention", "full_attention"]}),
    "olmoe": ("OlmoeForCausalLM", EXPERTS),
    "mixtral": ("MixtralForCausalLM", EXPERTS),
    "qwen2_moe": ("Qwen2MoeForCausalLM", EXPERTS | SHARED_EXPERT),
    "qwen3_moe": ("Qwen3MoeForCausalLM", EXPERTS | {"head_dim": 4, "norm_topk_prob": True}),
}
MIXTURES = ["olmoe", "mixtral", "qwen2_moe", "qwen3_moe"]
NO_CLOSED_FORM = ["olmo2", "olmo3", "gemma2", "gemma3_text"]
CLOSED_FORM = [kind for kind in TINY if kind not in NO_CLOSED_FORM]


def tiny_model(kind: str, seed: int = 0, **changes) -> torch.nn.Module:
    """A random model whose weights are large enough for ablations to matter; ``changes`` to its configuration."""
    name, settings = TINY[kind]
    causal_model = getattr(transformers, name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = causal_model(causal_model.config_class(**(settings | changes)))
        with torch.no_grad():
            for name, weight in model.named_parameters():
                if weight.ndim > 1:
                    weight.mul_(8)
                elif "norm" in name or "ln_" in name or name.endswith("bias"):
                    weight.add_(0.3 * torch.randn_like(weight))
    for module in model.modules():
        for ending, in_its_precision in OWN_PRECISION.items():
            if type(module).__name__.endswith(ending):
                module.forward = partial(in_its_precision, module)
    if kind in MIXTURES:
        model.set_experts_implementation("eager")  # the default one has no float64
    return model.eval().requires_grad_(False)


def rms_norm(module: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
    gemma = "Gemma" in type(module).__name__
    gain, epsilon = (1 + module.weight, module.eps) if gemma else (module.weight, module.variance_epsilon)
    return gain * x * torch.rsqrt(x.square().mean(-1, keepdim=True) + epsilon)


def olmo_norm(_module: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
    return (x - x.mean(-1, keepdim=True)) * torch.rsqrt(x.var(-1, correction=0, keepdim=True) + 1e-5)


def router(module: torch.nn.Module, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    logits = x @ module.weight.T
    weights, chosen = torch.softmax(logits, -1).topk(module.top_k)
    if type(module).__name__ == "MixtralTopKRouter" or module.norm_topk_prob:
        weights = weights / weights.sum(-1, keepdim=True)
    return logits, weights, chosen


# In their input's precision; transformers' own round to float32 even in a float64 model.
OWN_PRECISION = {"RMSNorm": rms_norm, "OlmoLayerNorm": olmo_norm, "TopKRouter": router}


def gemma2_attention(module, query, key, value, attention_mask, scaling, softcap, **_):
    """Gemma 2's attention in its input's precision; transformers' own rounds its softmax to float32."""
    key, value = (states.repeat_interleave(module.num_key_value_groups, dim=1) for states in (key, value))
    scores = torch.tanh(query @ key.transpose(2, 3) * scaling / softcap) * softcap + attention_mask
    pattern = torch.softmax(scores, -1)
    return (pattern @ value).transpose(1, 2).contiguous(), pattern


modeling_gemma2.eager_attention_forward = gemma2_attention


def random_blocks(n_blocks: int = 6, length: int = 16, seed: int = 0) -> Blocks:
    """Blocks of random tokens, of different lengths, one a document."""
    rng = np.random.default_rng(seed)
    tokens = rng.integers(1, VOCABULARY, size=(n_blocks, length)).astype(np.int32)
    tokens[:, 0] = 0
    lengths = rng.integers(length - 6, length + 1, size=n_blocks).astype(np.int32)
    for block, real in enumerate(lengths):
        tokens[block, real:] = 0
    return Blocks(tokens, lengths, np.arange(n_blocks) * 10)


def megabytes_above(setup: str, work: str) -> float:
    """By how much ``work`` raises the peak memory of a process of its own that has run ``setup``, MB.

    ``VmHWM`` and not ``ru_maxrss``: a new process inherits the latter from the one that started it. Freed arrays go
    back to the system at once, so that the peak is what the arrays take and not how they fell into the heap.
    """
    peak = "[int(line.split()[1]) / 1024 for line in open('/proc/self/status') if line.startswith('VmHWM')][0]"
    code = f"{setup}\nbefore = {peak}\n{work}\nprint({peak} - before)\n"
    settings = os.environ | {"MALLOC_MMAP_THRESHOLD_": "131072"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=settings)
    return float(done.stdout)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def style():
    """The project's figure style; figures are closed after the test."""
    import matplotlib.pyplot as plt

    from rareneurons.figures.style import apply_style

    apply_style()
    yield
    plt.close("all")


def bring(source: Path, target: Path) -> None:
    """Copy a file or a folder, without what Python and pip leave in it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    else:
        shutil.copy(source, target)


def copy_project(folder: Path) -> Path:
    """The files a run needs, in a folder of its own."""
    target = folder / "project"
    target.mkdir()
    for name in ("Snakefile", "config.yaml", "config", "workflow", "scripts", "src", "envs"):
        bring(PROJECT / name, target / name)
    (target / "profiles").symlink_to("workflow/profiles")  # where Snakemake looks beside the Snakefile
    return target


def remote_of(folder: Path, change: Callable[[Path], None] = lambda project: None) -> str:
    """Address of the Snakefile of modules in a git repository that holds the project, with a change if one is given."""
    project = copy_project(folder)
    change(project)
    for command in (("init", "-q"), ("add", "."), ("commit", "-q", "-m", "all"), ("tag", "v1")):
        identity = ("-c", "user.name=test", "-c", "user.email=test@localhost")
        subprocess.run(["git", *identity, *command], cwd=project, check=True)
    return f"git+file://{project}/workflow/Snakefile@v1"


def user_folder(folder: Path, snakefile: str, prefix: str = "", names: str = "", more: str = "") -> Path:
    """A folder of a user who imports the rules: a Snakefile, the smoke configuration as overlay, and nothing else."""
    user = folder / "user"
    user.mkdir()
    shutil.copy(PROJECT / "config/smoke.yaml", user / "overlay.yaml")
    place = f'    prefix: "{prefix}"\n' if prefix else ""
    (user / "Snakefile").write_text(
        'configfile: "overlay.yaml"\n'
        "module rareneurons:\n"
        f'    snakefile: "{snakefile}"\n'
        f"    config: config\n{place}"
        f"use rule * from rareneurons{names}\n{more}"
    )
    return user


def snakemake(project: Path, *arguments: str, check: bool = True) -> subprocess.CompletedProcess:
    """Run Snakemake in a copy of the project; returns its output."""
    command = [sys.executable, "-m", "snakemake", "--cores", "2", *arguments]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=580)
    if check and done.returncode:
        pytest.fail(f"{' '.join(command)} ended with {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-6000:]}")
    return done


@pytest.hookimpl(tryfirst=True)  # before -m deselects
def pytest_collection_modifyitems(items):
    for item in items:
        if "smoke_run" in item.fixturenames:
            item.add_marker("shared_run")


@pytest.fixture(scope="session")
def smoke_run(tmp_path_factory) -> Path:
    """A copy of the project in which the graph has run with config/smoke.yaml."""
    project = copy_project(tmp_path_factory.mktemp("smoke"))
    snakemake(project, "--configfile", "config/smoke.yaml")
    return project
