"""Time and error of neuron influence, compared with the usual methods.

``python benchmarks/influence.py results/bench`` measures these methods in one run on the same inputs:

* ``hooked_forward``: one forward pass of the transformers model per neuron, with the neuron held by a hook
* ``batched_unembedding``: the ablated residuals of twenty neurons at a time through final norm, unembedding and
  log-softmax, as in the authors' code
* ``transformer_lens``: one hooked pass of TransformerLens per neuron, if that package is installed
* ``attribution_patching``: first-order effects of all neurons from one backward pass
* ``ours``: one traced pass and the closed form, for all neurons

The first three are timed on a few neurons and extrapolated to all (column ``neurons_timed``). Errors are measured
against hooked passes in float64 on a sample of neurons. Each method runs in a process of its own, one after the other,
so that ``peak_mb`` counts this method alone. ``other_cores`` is the number of cores that other processes used
meanwhile. A ratio is marked where they used more than a tenth of a core beside this method or beside ``ours``: it then
says less about the methods than about the machine.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import psutil

SIZES = ("kind", "hidden", "mlp", "layers", "heads", "vocabulary", "rows")
SHAPES = {
    "demo": dict(zip(SIZES, ("gpt_neox", 160, 640, 4, 4, 4096, 256), strict=True)),
    "llama_135m": dict(zip(SIZES, ("llama", 576, 1536, 30, 9, 49152, 256), strict=True)),
    "gpt2_xl": dict(zip(SIZES, ("gpt2", 1600, 6400, 48, 25, 50257, 1024), strict=True)),
}
METHODS = ("hooked_forward", "batched_unembedding", "transformer_lens", "attribution_patching", "ours")
NEURONS_TIMED = {"hooked_forward": 4, "batched_unembedding": 40, "transformer_lens": 4}
ORACLE_NEURONS = 12
LONGEST_BLOCK = 260  # tokens
COLUMNS = [
    "shape",
    "method",
    "rows",
    "neurons",
    "vocabulary",
    "seconds",
    "peak_mb",
    "max_error_nats",
    "ratio_to_ours",
    "neurons_timed",
    "other_cores",
]
BUSY = 0.1  # cores that other processes may use beside a method


class Case:
    """A model with random weights, or a local folder, and one document of random tokens."""

    def __init__(self, shape: str, threads: int, device: str, folder: str | None) -> None:
        import torch
        from torch import nn

        from rareneurons.models.architectures import architecture_of
        from rareneurons.models.checkpoints import open_checkpoint
        from rareneurons.rows import candidate_rows
        from rareneurons.tokens import Blocks

        torch.set_num_threads(threads)
        torch.manual_seed(0)
        self.n_rows = SHAPES[shape]["rows"]
        if folder:
            self.architecture = open_checkpoint(folder, device=device)
        else:
            model = random_model(**SHAPES[shape]).eval().requires_grad_(False).to(device)
            self.architecture = architecture_of(model)
        assert isinstance(self.architecture.unembedding_module, nn.Linear)
        vocabulary = self.architecture.unembedding.shape[0]
        length = min(self.n_rows, LONGEST_BLOCK - 4) + 4  # a block has four rows fewer than tokens
        n_blocks = -(-self.n_rows // (length - 4))
        rng = np.random.default_rng(0)
        tokens = rng.integers(2, vocabulary, size=(n_blocks, length)).astype(np.int32)
        self.blocks = Blocks(tokens, np.full(n_blocks, length, np.int32), np.arange(n_blocks))
        self.rows = candidate_rows(self.blocks).iloc[: self.n_rows].reset_index(drop=True)
        self.device, self.torch = device, torch
        self.neurons = np.linspace(0, self.n_neurons - 1, ORACLE_NEURONS).astype(int)

    @property
    def last(self) -> int:
        return self.architecture.n_layers - 1

    @property
    def n_neurons(self) -> int:
        return self.architecture.mlp_output_weight(self.last).shape[0]

    def tokens(self):
        return self.torch.from_numpy(self.blocks.tokens.astype(np.int64)).to(self.device)

    def at(self):
        return tuple(self.torch.from_numpy(self.rows[c].to_numpy()).to(self.device) for c in ("block", "position"))

    def target(self):
        return self.torch.from_numpy(self.rows["target"].to_numpy().astype(np.int64)).to(self.device)

    def loss(self, logits):
        """Loss of the rows, (T,), from all logits (blocks, positions, V)."""
        at_rows = logits[self.at()]
        return self.torch.nn.functional.cross_entropy(at_rows, self.target(), reduction="none")

    def hold(self, neuron: int, value: float):
        def hook(_module, inputs):
            held = inputs[0].clone()
            held[..., neuron] = value
            return (held,)

        return self.architecture.mlp_output(self.last).register_forward_pre_hook(hook)

    def hooked(self, neurons) -> np.ndarray:
        """Effects (T, neurons) by one hooked pass per neuron, in the model's precision. References are zero."""
        effects = []
        with self.torch.inference_mode():
            before = self.loss(self.architecture.model(input_ids=self.tokens(), use_cache=False).logits)
            for neuron in neurons:
                handle = self.hold(int(neuron), 0.0)
                after = self.loss(self.architecture.model(input_ids=self.tokens(), use_cache=False).logits)
                handle.remove()
                effects.append((after - before).double().cpu().numpy())
        return np.stack(effects, axis=1)


def random_model(kind, hidden, mlp, layers, heads, vocabulary, rows):
    """Random weights, with the last layer scaled so that changes of logits are as large as in trained models."""
    import torch
    from transformers import (
        GPT2Config,
        GPT2LMHeadModel,
        GPTNeoXConfig,
        GPTNeoXForCausalLM,
        LlamaConfig,
        LlamaForCausalLM,
    )

    if kind == "gpt2":
        model = GPT2LMHeadModel(
            GPT2Config(
                vocab_size=vocabulary,
                n_embd=hidden,
                n_inner=mlp,
                n_layer=layers,
                n_head=heads,
                n_positions=LONGEST_BLOCK,
            )
        )
        last = model.transformer.h[-1].mlp.c_proj.weight.T
    elif kind == "gpt_neox":
        model = GPTNeoXForCausalLM(
            GPTNeoXConfig(
                vocab_size=vocabulary,
                hidden_size=hidden,
                intermediate_size=mlp,
                num_hidden_layers=layers,
                num_attention_heads=heads,
                max_position_embeddings=LONGEST_BLOCK,
            )
        )
        last = model.gpt_neox.layers[-1].mlp.dense_4h_to_h.weight
    else:
        model = LlamaForCausalLM(
            LlamaConfig(
                vocab_size=vocabulary,
                hidden_size=hidden,
                intermediate_size=mlp,
                num_hidden_layers=layers,
                num_attention_heads=heads,
                num_key_value_heads=3,
                max_position_embeddings=LONGEST_BLOCK,
                tie_word_embeddings=True,
            )
        )
        last = model.model.layers[-1].mlp.down_proj.weight
    with torch.no_grad():
        model.get_output_embeddings().weight.mul_(4)
        # A few loud neurons and many quiet ones, as in trained models.
        loudness = torch.exp(1.2 * torch.randn(mlp, generator=torch.Generator().manual_seed(1)))
        last.mul_(WIDENING[kind] * loudness)
    return model


# Chosen so that about two thirds of the (row, neuron) pairs change the logits within a range of 0.1 and nine tenths
# within 0.5, as measured on a trained 135M-parameter Llama-type model. Every run prints its own shares.
WIDENING = {"gpt2": 1.0, "gpt_neox": 1.8, "llama": 4.5}


def run_hooked_forward(case: Case) -> dict:
    neurons = case.neurons[: NEURONS_TIMED["hooked_forward"]]
    started = time.perf_counter()
    effects = case.hooked(neurons)
    seconds = (time.perf_counter() - started) / (len(neurons) + 1) * case.n_neurons
    return {"seconds": seconds, "effects": effects, "neurons": neurons, "neurons_timed": len(neurons)}


def run_batched_unembedding(case: Case) -> dict:
    """The authors' method: norm, unembedding and log-softmax of the ablated residuals of twenty neurons at a time."""
    torch = case.torch
    n_timed = NEURONS_TIMED["batched_unembedding"]
    neurons = np.concatenate([case.neurons, np.setdiff1d(np.arange(case.n_neurons), case.neurons)])[:n_timed]
    recorded = recorded_pass(case)
    weight = case.architecture.mlp_output_weight(case.last)
    effects, started = [], time.perf_counter()
    with torch.inference_mode():

        def losses(residual):
            logits = case.architecture.unembedding_module(case.architecture.final_norm_module(residual))
            log_p = torch.log_softmax(logits, -1)
            target = case.target().expand(len(residual), -1)[..., None]
            return -log_p.gather(-1, target)[..., 0]

        before = losses(recorded["x"][None])
        for first in range(0, n_timed, 20):
            chosen = torch.from_numpy(neurons[first : first + 20]).to(case.device)
            delta = -recorded["a"][:, chosen].T[..., None]
            effects.append((losses(recorded["x"] + delta * weight[chosen][:, None]) - before).double().cpu().numpy())
    seconds = (time.perf_counter() - started) / n_timed * case.n_neurons
    return {"seconds": seconds, "effects": np.concatenate(effects).T, "neurons": neurons, "neurons_timed": n_timed}


def run_transformer_lens(case: Case) -> dict | None:
    try:
        from transformer_lens.model_bridge import TransformerBridge
    except ImportError as error:
        print(f"transformer_lens: left out, it does not import here ({error})")
        return None
    from rareneurons.tokens import train_tokenizer

    neurons, effects = case.neurons[: NEURONS_TIMED["transformer_lens"]], []
    with tempfile.TemporaryDirectory() as folder:
        case.architecture.model.save_pretrained(folder)
        train_tokenizer(["any text"], 258).save_pretrained(folder)  # it requires one, of any kind
        model = TransformerBridge.boot_transformers(folder, hf_model=case.architecture.model, device=case.device)

    def hold(neuron):
        def hook(activation, hook):
            held = activation.clone()
            held[..., neuron] = 0
            return held

        return [(f"blocks.{case.last}.mlp.out.hook_in", hook)]

    started = time.perf_counter()
    with case.torch.inference_mode():
        before = case.loss(model(case.tokens()))
        for neuron in neurons:
            after = case.loss(model.run_with_hooks(case.tokens(), fwd_hooks=hold(int(neuron))))
            effects.append((after - before).double().cpu().numpy())
    seconds = (time.perf_counter() - started) / (len(neurons) + 1) * case.n_neurons
    return {"seconds": seconds, "effects": np.stack(effects, 1), "neurons": neurons, "neurons_timed": len(neurons)}


def recorded_pass(case: Case) -> dict:
    from rareneurons.trace import Recorder

    modules = {"a": case.architecture.mlp_output(case.last), "x": case.architecture.final_norm_module}
    with case.torch.inference_mode(), Recorder(modules) as recorder:
        case.architecture.base(input_ids=case.tokens(), use_cache=False)
    return {name: values[case.at()] for name, values in recorder.inputs.items()}


def run_attribution_patching(case: Case) -> dict:
    """Mean first-order effects. The error is that of the mean, because single rows have no first-order effect."""
    from rareneurons.influence.screening import attribution_scores

    started = time.perf_counter()
    references = {case.last: np.zeros(case.n_neurons)}
    scores = attribution_scores(case.architecture, case.blocks, case.rows, references, batch_size=8)[case.last]
    seconds = time.perf_counter() - started
    means = scores[case.neurons][None]
    return {"seconds": seconds, "effects": means, "neurons": case.neurons, "neurons_timed": case.n_neurons}


def run_ours(case: Case, memory_bytes: int) -> dict:
    from rareneurons.influence.closed_form import delta_loss_matrix

    torch = case.torch
    started = time.perf_counter()
    recorded = recorded_pass(case)
    traced = time.perf_counter()
    layer = case.architecture.last_layer()
    reference = torch.zeros(case.n_neurons, device=case.device)
    with torch.inference_mode():
        effects, pairs = delta_loss_matrix(
            layer, recorded["x"], recorded["a"], reference, case.target(), memory_bytes=memory_bytes
        )
    if case.device != "cpu":
        torch.cuda.synchronize()
    ended = time.perf_counter()
    all_pairs = pairs.exact + pairs.cubic + pairs.quartic
    vocabulary = case.architecture.unembedding.shape[0]
    width = layer.output_weight.shape[1]
    # Products of the cubic series (three with B's powers, three with the unembedding), and the logits of neurons and
    # rows. Quartic products and exact sums are not counted.
    products = 2 * vocabulary * (3 * case.n_rows * (case.n_neurons + width) + width * (case.n_neurons + case.n_rows))
    return {
        "seconds": ended - started,
        "effects": effects[:, torch.from_numpy(case.neurons)].cpu().numpy(),
        "neurons": case.neurons,
        "neurons_timed": case.n_neurons,
        "notes": {
            "seconds of the traced pass": traced - started,
            "share of pairs by the exact sum": pairs.exact / all_pairs,
            "share by the quartic series": pairs.quartic / all_pairs,
            "GFLOP/s of a matrix product on this machine": (rate := matmul_rate(case)),
            "share of that rate that the products alone reach": products / (ended - traced) / 1e9 / rate,
            **ranges(layer, recorded, torch),
        },
    }


def matmul_rate(case: Case) -> float:
    torch = case.torch
    a = torch.randn(256, 8192, device=case.device)
    b = torch.randn(8192, 1536, device=case.device)
    a @ b
    started = time.perf_counter()
    for _ in range(10):
        a @ b
    if case.device != "cpu":
        torch.cuda.synchronize()
    return 2 * 256 * 8192 * 1536 * 10 / (time.perf_counter() - started) / 1e9


def ranges(layer, recorded, torch) -> dict:
    """Shares of pairs whose logits change within a given range, by the direct term alone."""
    with torch.inference_mode():
        centred = layer.centred(recorded["x"])
        scale = (centred.square().mean(-1) + layer.norm.epsilon).sqrt()
        b = (layer.centred(layer.output_weight) * layer.norm.gain) @ layer.unembedding.T
        width = (b.amax(-1) - b.amin(-1)) * recorded["a"].abs() / scale[:, None]
    return {f"share of pairs with a range below {r}": float((width < r).double().mean()) for r in (0.1, 0.5)}


def oracle_effects(case: Case) -> np.ndarray:
    case.architecture.model.double()
    return case.hooked(case.neurons)


def measure(arguments) -> None:
    """Run one method in this process and write its results."""
    case = Case(arguments.shape, arguments.threads, arguments.device, arguments.model)
    if arguments.method == "oracle":
        found = {"effects": oracle_effects(case), "neurons": case.neurons}
    elif arguments.method == "ours":
        found = run_ours(case, int(arguments.memory_gib * 2**30))
    else:
        found = globals()[f"run_{arguments.method}"](case)
    if found is None:
        return
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    if arguments.device != "cpu":
        peak = case.torch.cuda.max_memory_allocated() / 2**20
    np.savez(arguments.output, effects=found.pop("effects"), neurons=found.pop("neurons"))
    sizes = {"rows": len(case.rows), "n_neurons": case.n_neurons, "vocabulary": case.architecture.unembedding.shape[0]}
    Path(arguments.output).with_suffix(".json").write_text(json.dumps(found | sizes | {"peak_mb": peak}))


class OtherProcesses:
    """Context manager that measures how many cores processes other than our own children use, on average."""

    cores = float("nan")

    def __enter__(self) -> "OtherProcesses":
        """Start to measure."""
        self._before = self._seconds()
        return self

    def __exit__(self, *_: object) -> None:
        """Set ``cores``."""
        wall, busy, ours = (after - before for after, before in zip(self._seconds(), self._before, strict=True))
        self.cores = max(0.0, busy - ours) / wall

    @staticmethod
    def _seconds() -> tuple[float, float, float]:
        """Wall clock; time of all cores that was not idle (time that a hypervisor took is not); this process's own."""
        machine, mine = psutil.cpu_times(), os.times()
        # Time of guests is counted as the user's, too.
        idle = sum(getattr(machine, name, 0.0) for name in ("idle", "iowait", "guest", "guest_nice"))
        return time.monotonic(), sum(machine) - idle, sum(mine[:4])


def with_marked_ratios(table: pd.DataFrame) -> pd.DataFrame:
    """The table with ratios as text; those from a busy machine say so."""
    marked = table.copy()
    ours = table[table["method"] == "ours"].set_index("shape")["other_cores"]
    busy = (table["other_cores"] > BUSY) | (table["shape"].map(ours) > BUSY)
    text = table["ratio_to_ours"].map("{:.4g}".format)
    marked["ratio_to_ours"] = text.where(~busy, text + " (busy machine)")
    return marked


def compare(folder: Path, shape: str, arguments) -> list[dict]:
    """All methods on one shape, each in its own process."""
    found = {}
    # Threads that wait sleep, as in the workflow's jobs.
    environment = {"OMP_WAIT_POLICY": "passive", **os.environ, "OMP_NUM_THREADS": str(arguments.threads)}
    for method in ("oracle", *METHODS):
        output = folder / f"{shape}_{method}.npz"
        command = [sys.executable, __file__, str(folder), "--shape", shape, "--method", method, "--output", str(output)]
        command += ["--threads", str(arguments.threads), "--device", arguments.device]
        command += ["--memory-gib", str(arguments.memory_gib)] + (
            ["--model", arguments.model] if arguments.model else []
        )
        output.unlink(missing_ok=True)
        print(f"{shape}: {method} ...", flush=True)
        with OtherProcesses() as others:
            subprocess.run(command, check=True, env=environment)
        if output.exists():
            with np.load(output) as arrays:
                found[method] = {**json.loads(output.with_suffix(".json").read_text()), **dict(arrays)}
            found[method]["other_cores"] = others.cores
            output.unlink()
            output.with_suffix(".json").unlink()
    oracle, ours = found.pop("oracle"), found["ours"]
    records = []
    for method, result in found.items():
        shared, mine, theirs = np.intersect1d(result["neurons"], oracle["neurons"], return_indices=True)
        truth = oracle["effects"][:, theirs]
        truth = truth if len(result["effects"]) == len(truth) else truth.mean(0, keepdims=True)
        error = float(np.abs(result["effects"][:, mine] - truth).max())
        records.append(
            {
                "shape": shape,
                "method": method,
                "max_error_nats": error,
                "ratio_to_ours": result["seconds"] / ours["seconds"],
            }
            | {key: result[key] for key in ("rows", "vocabulary", "seconds", "peak_mb", "neurons_timed", "other_cores")}
            | {"neurons": result["n_neurons"]}
        )
        for name, value in result.get("notes", {}).items():
            print(f"  {name}: {value:.4g}")
    means = ours["effects"].mean(0), oracle["effects"].mean(0)
    large = np.abs(means[1]) > 1e-6
    print(f"  largest relative error of a mean above 1e-6 nats: {np.abs(means[0] / means[1] - 1)[large].max():.2g}")
    return records


def scaling(arguments) -> pd.DataFrame:
    """Seconds of the closed form as rows, neurons and vocabulary double, with the exponent of each."""
    import torch

    from rareneurons.influence.closed_form import delta_loss_tiles
    from rareneurons.models.last_layer import LastLayer, Norm

    torch.set_num_threads(arguments.threads)
    g = torch.Generator().manual_seed(0)
    records = []
    for varied in ("rows", "neurons", "vocabulary"):
        for factor in (1, 2, 4):
            size = {"rows": 512, "neurons": 1024, "vocabulary": 16384}
            size[varied] *= factor
            t, n, v, d = size["rows"], size["neurons"], size["vocabulary"], 64
            loud = 0.1 * torch.exp(torch.randn(n, 1, generator=g))
            weight = torch.randn(n, d, generator=g) * loud / d**0.5
            norm = Norm("rms_norm", torch.ones(d), torch.zeros(d), 1e-5)
            layer = LastLayer(weight, torch.randn(v, d, generator=g) / d**0.5, torch.zeros(v), norm, {})
            x, a = torch.randn(t, d, generator=g), torch.randn(t, n, generator=g)
            target = torch.randint(0, v, (t,), generator=g)
            best = np.inf
            for _ in range(3):
                started = time.perf_counter()
                with torch.inference_mode():
                    for _tile in delta_loss_tiles(layer, x, a, torch.zeros(n), target):
                        pass
                best = min(best, time.perf_counter() - started)
            records.append({"varied": varied, "factor": factor, **size, "seconds": best})
    frame = pd.DataFrame(records)
    for varied, part in frame.groupby("varied", sort=False):
        exponent = np.polyfit(np.log(part["factor"]), np.log(part["seconds"]), 1)[0]
        print(f"seconds grow as {varied} ^ {exponent:.2f}")
    return frame


def draw_scaling(frame: pd.DataFrame, file: Path) -> None:
    """Seconds against the factor, with one line each for rows, neurons and vocabulary."""
    import matplotlib.pyplot as plt
    import seaborn as sns

    from rareneurons.figures import style
    from rareneurons.figures.palette import NULL_COLOUR

    style.apply_style()
    figure, axis = plt.subplots(figsize=(style.COLUMN_WIDTH, 2.4))
    sns.lineplot(
        frame, x="factor", y="seconds", hue="varied", style="varied", markers=True, palette="colorblind", ax=axis
    )
    axis.plot([1, 4], [frame["seconds"][0], 4 * frame["seconds"][0]], color=NULL_COLOUR, linestyle=":", label="linear")
    axis.set(xscale="log", yscale="log", xlabel="size, relative", ylabel="time (s)")
    axis.set_xticks([1, 2, 4], ["1", "2", "4"])
    axis.minorticks_off()
    axis.legend()
    style.save(figure, file, file.suffix[1:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where influence.csv goes")
    parser.add_argument("--shape", choices=SHAPES, help="one shape alone")
    parser.add_argument(
        "--model", help="local checkpoint folder in place of random weights; give a --shape for its rows"
    )
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--memory-gib", type=float, default=1, help="budget of the closed form")
    parser.add_argument("--method", help=argparse.SUPPRESS)
    parser.add_argument("--output", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.method:
        measure(arguments)
        return
    arguments.folder.mkdir(parents=True, exist_ok=True)
    default = ["demo", "llama_135m"] + (["gpt2_xl"] if arguments.device != "cpu" else [])
    records = []
    for shape in [arguments.shape] if arguments.shape else default:
        records += compare(arguments.folder, shape, arguments)
    table = pd.DataFrame(records)[COLUMNS]
    table.to_csv(arguments.folder / "influence.csv", index=False)
    load = " ".join(f"{each:.1f}" for each in os.getloadavg())
    print(f"{os.cpu_count()} cores, of which {arguments.threads} used here; load average {load}")
    print(with_marked_ratios(table).to_string(index=False, float_format="%.4g"))
    frame = scaling(arguments)
    frame.to_csv(arguments.folder / "scaling.csv", index=False)
    for suffix in ("png", "pdf"):
        draw_scaling(frame, arguments.folder / f"scaling.{suffix}")


if __name__ == "__main__":
    main()
