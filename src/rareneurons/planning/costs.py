"""Formulas of what a job needs: the requests that the rules make, and the costs of a run before it starts.

Every formula has a constant term, measured on jobs that compute next to nothing (imports, a session of pandas or
torch), and terms that grow with what the job works on. ``benchmarks/costs.py --run`` compares both with a finished run.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from rareneurons.conventions import TOP_SIZE, neurons_of_mlp
from rareneurons.model_folders.config_file import size

MB = 2**20
# Imports of torch and transformers, of torch, of pandas and SciPy: the peak of the smallest jobs, MB.
MODEL_MB, TORCH_MB, PANDAS_MB = 500.0, 400.0, 180.0
# A job on a cluster runs inside two Snakemake processes of its own, MB.
WRAPPERS_MB = 400
# Float32 operations per second, of one core and of an accelerator: slow ones, so that requests hold on most machines.
OPERATIONS_PER_SECOND = {"cpu": 2e10, "accelerator": 1e13}
# Measured: seconds per row, neuron and vocabulary entry in addition to the products (H100: benchmarks/large_model.py,
# CPU: make bench), and WeightWatcher's singular values, twice because of the shuffled baseline.
SECONDS_PER_LOGIT = {"cpu": 1e-10, "accelerator": 4e-12}
WEIGHTWATCHER_RATE = 5e9 / 2  # of m n^2 for an m x n matrix, n <= m, per second on one core
SLOWER, ROOMIER = 3.0, 1.5  # a request over the formula: other machines, shared disks, memory that fragments
MOST_THREADS, SECONDS_PER_THREAD = 8, 600  # a further core where it has this much to do


@dataclass(frozen=True)
class Shape:
    """What costs depend on: ``width`` d, ``neurons`` N of a layer, ``vocabulary`` V, ``stored`` bytes per weight.

    ``closed_form`` is false where influence has none and every pair is re-run from the final norm.
    """

    layers: int = 0
    width: int = 0
    heads: int = 0
    vocabulary: int = 0
    neurons: int = 0
    tied: bool = False
    stored: int = 4
    closed_form: bool = True

    @property
    def parameters(self) -> float:
        """Weights: 4 d^2 + 2 d N per layer, and the embeddings; gated MLPs have half as many again."""
        layer = 4 * self.width**2 + 2 * self.width * self.neurons
        return self.layers * layer + (1 if self.tied else 2) * self.vocabulary * self.width

    @property
    def pass_operations(self) -> float:
        """Operations per token of a forward pass without the unembedding."""
        return self.layers * (8 * self.width**2 + 4 * self.width * self.neurons)

    @property
    def weightwatcher_seconds(self) -> float:
        """On one core; the matrices of a layer are 3 d, d, N and N by d, the embeddings V by d."""
        layers = self.layers * (4 * self.width + 2 * self.neurons) * self.width**2
        return (layers + (1 if self.tied else 2) * self.vocabulary * self.width**2) / WEIGHTWATCHER_RATE


def shape_of(model: Mapping) -> Shape:
    """Shape by a model's ``config.json``, in any family's words; 0 for what it does not say, or not as a number."""
    width = size(model, "width")
    neurons = size(model, "neurons") or 4 * width
    experts = size(model, "experts")
    if experts:
        neurons = experts * (size(model, "expert_neurons") or neurons) + size(model, "shared_expert_neurons")
    precision = str(model.get("dtype") or model.get("torch_dtype"))
    return Shape(
        size(model, "layers"),
        width,
        size(model, "heads"),
        size(model, "vocabulary"),
        neurons,
        bool(model.get("tie_word_embeddings", False)),
        4 if precision == "float32" else 2,
    )


def shape_of_arrays(shapes: Mapping[str, Sequence[int]]) -> Shape:
    """Shape by the arrays of a last layer's file (``LastLayer.arrays``); it knows no layers and no heads."""
    neurons, width = shapes.get("output_weight", (0, 0))
    vocabulary = shapes.get("unembedding", (0, 0))[0]
    closed_form = not {"mlp_norm_gain", "logit_cap"} & set(shapes)
    return Shape(0, width, 0, vocabulary, neurons, closed_form=closed_form)


@dataclass(frozen=True)
class Sizes:
    """What a job works on; 0 for what is not there yet.

    ``input_mb``: its input files; ``weights_mb``: those of the checkpoint it opens; ``shape``: of the model, or of what
    the last layer's file holds (``layers`` and ``heads`` are 0 then); ``rows``: T of the trace; ``training``: the
    configuration's entry, for a model to be trained.
    """

    input_mb: float = 0.0
    weights_mb: float = 0.0
    shape: Shape = Shape()
    rows: int = 0
    training: Mapping = field(default_factory=dict)

    @property
    def loaded_mb(self) -> float:
        """Weights in float32, and their file while they are read."""
        return self.weights_mb * (4 / self.shape.stored + 1)

    @property
    def trace_mb(self) -> float:
        """Activations and residuals, float32."""
        return 4 * self.rows * (self.shape.neurons + self.shape.width) / MB


def sizes_of_training(model: Mapping, vocabulary: int, input_mb: float) -> Sizes:
    """Sizes of a model's training, by its entry in the configuration; neurons of all experts, as if all were chosen."""
    neurons = neurons_of_mlp(model) * model.get("experts", {"number": 1})["number"]
    shape = Shape(model["n_layers"], model["hidden_size"], model["n_heads"], vocabulary, neurons)
    return Sizes(input_mb, shape=shape, training=model["training"])


@dataclass(frozen=True)
class Cost:
    """What a job takes: peak ``memory_mb`` beside an accelerator's; ``seconds`` on one core that nothing shares.

    ``operations`` float32 and ``logits`` (rows x neurons x vocabulary) are shared by threads, or an accelerator's.
    """

    memory_mb: float
    seconds: float
    operations: float = 0.0
    logits: float = 0.0

    def shared_seconds(self, device: str, rate: float | None = None) -> float:
        """Seconds on one core (``cpu``) or on an ``accelerator``; ``rate`` operations per second."""
        return self.operations / (rate or OPERATIONS_PER_SECOND[device]) + self.logits * SECONDS_PER_LOGIT[device]


@dataclass(frozen=True)
class Request:
    """What a job asks for: ``threads``, ``mem_mb`` MB and ``runtime`` minutes."""

    threads: int
    mem_mb: int
    runtime: int


def request(cost: Cost, attempt: int = 1, accelerator: bool = False) -> Request:
    """Threads, memory and time for a job; a later attempt gets as many times the memory and the time."""
    device = "accelerator" if accelerator else "cpu"
    shared = cost.shared_seconds(device)
    threads = 1 if accelerator else min(MOST_THREADS, 1 + int(shared / SECONDS_PER_THREAD))
    minutes = 10 + SLOWER * (cost.seconds + shared / threads) / 60
    return Request(
        threads,
        attempt * math.ceil(WRAPPERS_MB + ROOMIER * cost.memory_mb),
        attempt * math.ceil(minutes),
    )


Estimate = Callable[[Sizes, Mapping], Cost]


def n_rows(config: Mapping) -> int:
    """Evaluated rows, at most: conditions overlap."""
    return len(config["rows"]["conditions"]) * config["rows"]["rows_per_condition"]


def pass_mb(shape: Shape, blocks: int, block_length: int) -> float:
    """Activations of a layer and its attention patterns in a pass over some blocks at a time, float32."""
    tokens = blocks * block_length
    return 4 * tokens * (8 * shape.width + 2 * shape.neurons + 3 * shape.heads * block_length) / MB


def linear(megabytes: float, a_megabyte: float, seconds: float, seconds_a_megabyte: float) -> Estimate:
    """Cost that grows with the input files alone."""

    def estimate(sizes: Sizes, _config: Mapping) -> Cost:
        return Cost(megabytes + a_megabyte * sizes.input_mb, seconds + seconds_a_megabyte * sizes.input_mb)

    return estimate


def train_model(sizes: Sizes, _config: Mapping) -> Cost:
    """Forward and backward pass of every step; weights, gradients and two moments; logits and their gradients."""
    shape, training = sizes.shape, sizes.training
    tokens = training["batch_size"] * training["block_length"]
    a_token = 3 * (shape.pass_operations + 2 * shape.width * shape.vocabulary)
    kept = shape.layers * pass_mb(shape, training["batch_size"], training["block_length"])
    memory = MODEL_MB + sizes.input_mb + 16 * shape.parameters / MB + kept + 12 * tokens * shape.vocabulary / MB
    return Cost(memory, 20, training["steps"] * tokens * a_token)


def trace(sizes: Sizes, config: Mapping) -> Cost:
    """One pass over all documents; the arrays kept, and once more as they are written."""
    shape, rows = sizes.shape, config["rows"]
    kept = 2 * 4 * n_rows(config) * (shape.neurons + shape.width) / MB
    one_pass = pass_mb(shape, config["trace"]["batch_size"], rows["block_length"])
    operations = shape.pass_operations * rows["documents"] * rows["block_length"]
    return Cost(MODEL_MB + sizes.loaded_mb + kept + one_pass, 5, operations)


def influence(sizes: Sizes, config: Mapping) -> Cost:
    """The series' products, 2 T V (4 d + 3 N); without a closed form 2 T N d V in float64, at a quarter of the rate.

    Beside them the effects at the rows that neurons are chosen on, and those of every exchange of labels. Then the
    properties of neurons: the unembedding in float64, twice, and twenty random directions per neuron.
    """
    shape, rows = sizes.shape, sizes.rows or n_rows(config)
    memory = TORCH_MB + 3 * (sizes.trace_mb + sizes.input_mb)
    memory += max(1024 * config["influence"]["memory_gib"], 2 * 8 * shape.vocabulary * shape.width / MB)
    memory += 4 * shape.neurons * (config["rows"]["rows_per_condition"] + 12 * config["groups"]["shuffles"]) / MB
    if not shape.closed_form:
        return Cost(memory, 3, 4 * 2.0 * rows * shape.neurons * shape.width * shape.vocabulary)
    operations = 2.0 * rows * shape.vocabulary * (4 * shape.width + 3 * shape.neurons)
    operations += 8.0 * (20 * shape.neurons + shape.vocabulary) * shape.width**2
    return Cost(memory, 3, operations, rows * shape.neurons * shape.vocabulary)


def other_layers(sizes: Sizes, config: Mapping) -> Cost:
    """Candidates and sample of every layer run again in float64, each from half the layers up on average."""
    shape, settings, length = sizes.shape, config["other_layers"], config["rows"]["block_length"]
    neurons = shape.layers * (settings["candidates"] + settings["sample"])
    tokens = 2 * settings["documents"] * length
    one_pass = 2 * pass_mb(shape, settings["batch_size"] * settings["neurons_per_pass"], length)
    logits = 3 * 8 * settings["batch_size"] * settings["neurons_per_pass"] * length * shape.vocabulary / MB
    memory = MODEL_MB + 2 * sizes.loaded_mb + one_pass + logits
    unembedding = 2 * shape.width * shape.vocabulary
    return Cost(memory, 10, 4 * neurons * tokens * (shape.pass_operations / 2 + unembedding))


def top_examples(sizes: Sizes, config: Mapping) -> Cost:
    """Effects of the groups' neurons at the held-out rows, and at every token of a window around each example.

    Four groups of 33 neurons, four kinds of ten examples each, 33 tokens per example, at most the documents' own. The
    model reads the documents once more. Beside it are the trace, of which held-out rows are a copy, and the last layer
    twice. The effects take the operations that ``influence`` takes per row and neuron.
    """
    shape, rows = sizes.shape, config["rows"]
    neurons, examples = 4 * TOP_SIZE, 4 * 10 * 4 * TOP_SIZE
    tokens = min(33 * examples, rows["documents"] * rows["block_length"])
    blocks = min(examples, rows["documents"])
    kept = 1.5 * 4 * n_rows(config) * (shape.neurons + shape.width) / MB
    layer = 2 * 4 * (shape.neurons + shape.vocabulary) * shape.width / MB
    one_pass = pass_mb(shape, config["trace"]["batch_size"], rows["block_length"])
    memory = MODEL_MB + sizes.loaded_mb + kept + layer + one_pass + 1024 * config["influence"]["memory_gib"]
    pairs = n_rows(config) / 2 + tokens
    operations = blocks * rows["block_length"] * shape.pass_operations
    if not shape.closed_form:
        return Cost(memory, 10, operations + 4 * 2.0 * pairs * neurons * shape.width * shape.vocabulary)
    operations += 2.0 * pairs * shape.vocabulary * (4 * shape.width + 3 * neurons)
    return Cost(memory, 10, operations, pairs * neurons * shape.vocabulary)


def screening_passes(settings: Mapping) -> int:
    """Whole passes over a document that attention's screen takes: two forward, and backward ones.

    Three top groups and their matched controls, all neurons and the loss, for two conditions. A backward pass without
    gradients of weights counts as a forward pass.
    """
    return 2 + (2 * 3 + 2) * 2 * settings["sign_draws"]


def attention_passes(shape: Shape, settings: Mapping) -> float:
    """Whole passes over a document that attention takes, as many as its layer evaluations make (docs/methods.md).

    Two for the means and the clean run, and one for the patterns; single heads in mean ablation from their layer up,
    half the layers on average. On the documents beside these: one for the clean run, one per random set, whole layers,
    and the other two kinds. If every head is ablated, heads and layers are, in all three kinds.
    """
    heads, half = shape.layers * shape.heads, (shape.layers + 1) / 2 / max(1, shape.layers)
    share = min(1.0, settings["documents_beside"] / settings["documents"])
    if settings["candidates"] == "all" or heads <= settings["candidates"] + settings["sample"]:
        beside = 1 + settings["head_sets"] + (2 * heads + 3 * shape.layers) * half
        return 3 + heads * half + share * beside
    candidates = min(heads, 2 * settings["candidates"])
    others = min(heads - candidates, shape.layers + settings["sample"])
    beside = 1 + settings["head_sets"] + (2 * candidates + shape.layers) * half
    return 3 + screening_passes(settings) + (candidates + others) * half + share * beside


def attention(sizes: Sizes, config: Mapping) -> Cost:
    """Whole passes over its documents; the screen keeps all layers' activations of a batch."""
    shape, settings, length = sizes.shape, config["attention"], config["rows"]["block_length"]
    copies = settings["batch_size"] * settings["ablations_per_pass"]
    streams = 2 * 4 * settings["batch_size"] * length * shape.layers * shape.width / MB
    logits = 4 * n_rows(config) * shape.vocabulary / MB / 10
    ablation = streams + pass_mb(shape, copies, length) + logits
    screen = shape.layers * pass_mb(shape, settings["batch_size"], length)
    memory = MODEL_MB + 100 + sizes.loaded_mb + max(ablation, screen)
    operations = attention_passes(shape, settings) * shape.pass_operations * settings["documents"] * length
    return Cost(memory, 6, operations)


def weightwatcher(sizes: Sizes, _config: Mapping) -> Cost:
    """Singular values of every matrix, all of them in memory, the largest some times over."""
    shape = sizes.shape
    largest = 8 * 4 * max(shape.vocabulary, shape.neurons) * shape.width / MB
    return Cost(MODEL_MB + sizes.loaded_mb + largest, 10 + shape.weightwatcher_seconds)


def regimes(sizes: Sizes, config: Mapping) -> Cost:
    """Fits of as many curves as are drawn, resampled or simulated, N points each."""
    given = config["regimes"]
    curves = given["bootstrap"] + given["null_curves"] + given["bootstrap"] * given["power_draws"] / 10
    return Cost(PANDAS_MB + 4 * sizes.input_mb, 5 + 0.0003 * curves * sizes.input_mb)


def groups(sizes: Sizes, config: Mapping) -> Cost:
    """Features of all neurons, and the controls' matching."""
    return Cost(PANDAS_MB + 3 * sizes.input_mb, 5 + 1e-5 * config["groups"]["controls"] * sizes.shape.neurons)


def control_groups(config: Mapping) -> int:
    """Groups that a measure is computed for: random, matched and of shuffled labels, for each of four groups."""
    return 4 * (2 * config["groups"]["controls"] + config["groups"]["shuffles"])


def joint(sizes: Sizes, config: Mapping) -> Cost:
    """Exponentials over the vocabulary for each pair of a row and a group; one costs as much as twenty logits.

    Control groups of three kinds for four groups, and of one kind for the doses; the groups themselves on all held-out
    rows. Without a closed form d V operations per pair in float64, at a quarter of the rate.
    """
    shape, effort, heldout = sizes.shape, config["joint"], (sizes.rows or n_rows(config)) / 2
    rows = min(2.0 * (effort["rows"] + effort["pairs"]), heldout)
    doses = len(effort["doses"])
    pairs = rows * ((3 * 4 + doses / 2) * effort["controls"] + doses) + 7 * heldout
    kept = 3 * 8 * rows * (3 * 4 + doses / 2) * effort["controls"] / MB
    memory = TORCH_MB + 3 * (sizes.trace_mb + sizes.input_mb) + 1024 * config["influence"]["memory_gib"] + kept
    if not shape.closed_form:
        return Cost(memory, 3, 4 * 2.0 * pairs * shape.width * shape.vocabulary)
    return Cost(memory, 3, 2.0 * pairs * min(33, shape.width) * shape.vocabulary, 20 * pairs * shape.vocabulary)


def coordination(sizes: Sizes, config: Mapping) -> Cost:
    """Correlations of every control group, two conditions; resampled documents.

    Half as many control groups again are those of groups without known types. Then the correlations of four groups with
    the whole layer, seventeen control groups beside each, without each block of documents.
    """
    rows, bootstrap = config["rows"]["rows_per_condition"], config["coordination"]["bootstrap"]
    outside = 4e-10 * 2 * 4 * rows * min(17 * 33, sizes.shape.neurons) * sizes.shape.neurons
    within = 3e-6 * rows * (1.5 * control_groups(config) + bootstrap)
    return Cost(PANDAS_MB + 3 * sizes.input_mb, 5 + within + outside)


def organization(sizes: Sizes, config: Mapping) -> Cost:
    """Communities of every control group, shift and resampled graph."""
    settings, rows = config["organization"], config["rows"]["rows_per_condition"]
    graphs = control_groups(config) + 3 * settings["shifts"] + 3 * settings["bootstrap"]
    searches = settings["seeds"] * len(settings["resolutions"])
    return Cost(PANDAS_MB + 3 * sizes.input_mb, 5 + graphs * (3e-3 * searches + 3e-6 * rows))


def spectra(sizes: Sizes, config: Mapping) -> Cost:
    """Eigenvalues of every control group's weights."""
    groups = control_groups(config) * sizes.shape.width
    return Cost(PANDAS_MB + 3 * sizes.input_mb, 5 + 2e-5 * groups)


def choice_measures(sizes: Sizes, config: Mapping) -> Cost:
    """Three of the measures for each choice, but of one condition and sign."""
    parts = [measure(sizes, config) for measure in (regimes, coordination, organization)]
    return Cost(max(part.memory_mb for part in parts), 2 * sum(part.seconds for part in parts))


def firmness_measures(sizes: Sizes, config: Mapping) -> Cost:
    """For each choice, neurons, labels, curves and groups of one condition; influence for each reference, twice.

    Effects at all rows and a copy of those that a choice leaves, beside the traces of two checkpoints.
    """
    wanted = config["firmness"]
    references = len(wanted["references"])
    n_choices = references + sum(map(bool, wanted.values())) - bool(references)
    parts = [measure(sizes, config) for measure in (regimes, groups, coordination, organization)]
    ablation, pairs = influence(sizes, config), joint(sizes, config)
    memory = max(ablation.memory_mb, pairs.memory_mb) + 4 * sizes.trace_mb
    seconds = 3 + n_choices * sum(part.seconds for part in parts) / 2
    times = 2 * (references + 1)
    return Cost(
        memory,
        seconds,
        times * ablation.operations + n_choices * pairs.operations / 3,
        times * ablation.logits + n_choices * pairs.logits / 3,
    )


# Rules that read and write tables, figures and text, by what a MB of input costs them; measured on the demo.
ESTIMATES: dict[str, Estimate] = {
    "small": linear(330.0, 12, 10, 1),
    "corpus": linear(TORCH_MB, 20, 60, 1),
    "train_tokenizer": linear(300, 60, 10, 2),
    "token_stream": linear(300, 120, 10, 2),
    "rows": linear(TORCH_MB, 15, 10, 2),
    "unpack_gguf": linear(TORCH_MB, 14, 20, 0.2),  # two bits become 32
    "audit_folders": linear(TORCH_MB, 0.1, 10, 0.02),
    "dynamics": linear(PANDAS_MB, 12, 30, 2),
    "neuron_page": linear(330, 0.5, 10, 1),  # one checkpoint at a time
    "paper_comparison": linear(2 * PANDAS_MB, 0.02, 10, 0.02),  # of large files it reads the parts it needs
    "train_model": train_model,
    "trace": trace,
    "influence": influence,
    "other_layers": other_layers,
    "top_examples": top_examples,
    "attention": attention,
    "weightwatcher": weightwatcher,
    "regimes": regimes,
    "groups": groups,
    "joint": joint,
    "coordination": coordination,
    "organization": organization,
    "spectra": spectra,
    "choice_measures": choice_measures,
    "firmness_measures": firmness_measures,
}
