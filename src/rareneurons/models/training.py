"""Train a small GPT-NeoX model, Pythia's architecture, or a mixture of experts, and hand out its checkpoints.

Interrupted training resumes: :func:`write_state` saves everything that determines the next steps, and
:func:`read_state` restores it. On a CPU, with the same number of threads, the rest is then the same bit for bit.
"""

import json
import math
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from transformers import GPTNeoXConfig, GPTNeoXForCausalLM, MixtralConfig, MixtralForCausalLM, PreTrainedModel

from rareneurons.errors import CorpusError, DamagedFileError

LOAD_BALANCING = 0.02  # weight of the loss that spreads tokens over experts, as in Mixtral-8x7B's configuration


@dataclass(frozen=True)
class Experts:
    """A mixture's ``number`` of experts per layer, and how many are ``chosen`` at each position."""

    number: int
    chosen: int


@dataclass(frozen=True)
class Shape:
    """Size of a model; ``n_neurons`` per layer, or per expert where there are ``experts``."""

    hidden_size: int
    n_layers: int
    n_heads: int
    n_neurons: int
    experts: Experts | None = None


@dataclass(frozen=True)
class Optimisation:
    """AdamW with a linear warm-up and a cosine decay to zero; one step sees ``batch_size * block_length`` tokens."""

    steps: int
    batch_size: int
    block_length: int
    learning_rate: float
    warmup_steps: int
    weight_decay: float

    def learning_rate_at(self, step: int) -> float:
        """Learning rate of the update after ``step`` updates."""
        if step < self.warmup_steps:
            return self.learning_rate * step / self.warmup_steps
        done = (step - self.warmup_steps) / max(1, self.steps - self.warmup_steps)
        return self.learning_rate * max(0.0, 0.5 * (1 + math.cos(math.pi * done)))


def untrained_model(shape: Shape, vocabulary_size: int, block_length: int, seed: int) -> PreTrainedModel:
    """A model with random weights and an untied unembedding.

    Without experts it is a GPT-NeoX (parallel residual, rotary positions), with experts a Mixtral (gated MLPs).
    """
    common: dict[str, Any] = {
        "vocab_size": vocabulary_size,
        "hidden_size": shape.hidden_size,
        "num_hidden_layers": shape.n_layers,
        "num_attention_heads": shape.n_heads,
        "intermediate_size": shape.n_neurons,
        "max_position_embeddings": block_length,
        "tie_word_embeddings": False,
        "bos_token_id": 0,
        "eos_token_id": 0,
        "pad_token_id": 1,
    }
    # transformers draws initial weights from torch's global generator; the state is put back afterwards.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if shape.experts is None:
            return GPTNeoXForCausalLM(GPTNeoXConfig(use_parallel_residual=True, **common))
        config = MixtralConfig(
            num_key_value_heads=shape.n_heads,
            num_local_experts=shape.experts.number,
            num_experts_per_tok=shape.experts.chosen,
            router_aux_loss_coef=LOAD_BALANCING,
            **common,
        )
        model = MixtralForCausalLM(config)
    model.set_experts_implementation("eager")  # the default takes longer on a CPU
    return model


def random_blocks(tokens: np.ndarray, batch_size: int, block_length: int, rng: np.random.Generator) -> torch.Tensor:
    """A batch of windows at random offsets of a token stream, int64 (batch, block)."""
    starts = rng.integers(0, len(tokens) - block_length + 1, size=batch_size)
    return torch.from_numpy(np.stack([tokens[s : s + block_length] for s in starts]).astype(np.int64))


@dataclass
class Training:
    """A model in training: all that decides what comes next, and the ``losses`` of the batches so far (nats per token).

    ``rng`` draws the batches. Nothing else is random: the models have no dropout.
    """

    model: PreTrainedModel
    optimiser: torch.optim.Optimizer
    rng: np.random.Generator
    losses: list[float] = field(default_factory=list)

    @property
    def step(self) -> int:
        """Updates done."""
        return len(self.losses)


def begin(model: PreTrainedModel, optimisation: Optimisation, rng: np.random.Generator) -> Training:
    """Training of a model, on the device that it is on, before its first step."""
    optimiser = torch.optim.AdamW(model.parameters(), betas=(0.9, 0.95), weight_decay=optimisation.weight_decay)
    return Training(model.train(), optimiser, rng)


def train(
    training: Training,
    tokens: np.ndarray,
    optimisation: Optimisation,
    save_at: Iterable[int],
    save: Callable[[Training], None],
    progress: Callable[[Collection[int]], Iterable[int]] = iter,
) -> None:
    """Train in place, from the step that the training is at to the last one.

    Args:
        training: as :func:`begin` made it or :func:`read_state` brought it back.
        tokens: training token ids in order, integer (n,).
        optimisation: length, batch and learning-rate schedule.
        save_at: steps after which ``save(training)`` is called; step 0 is the untrained model.
        save: receives the training at each checkpoint.
        progress: wraps the loop over steps.

    Raises:
        CorpusError: fewer tokens than one block.
        FloatingPointError: the loss is no longer finite.
    """
    if len(tokens) < optimisation.block_length + 1:
        raise CorpusError(
            f"training tokens: found {len(tokens)}, need more than one block of {optimisation.block_length}; "
            "use a larger corpus or a smaller models[].training.block_length"
        )
    wanted = set(save_at)
    if training.step == 0 and 0 in wanted:
        save(training)
    for _ in progress(range(training.step, optimisation.steps)):
        batch = random_blocks(tokens, optimisation.batch_size, optimisation.block_length, training.rng)
        _update(training, batch, optimisation)
        if training.step in wanted:
            save(training)


def _update(training: Training, batch: torch.Tensor, optimisation: Optimisation) -> None:
    model, step = training.model, training.step
    objective, loss = _losses(model, batch.to(model.device))
    if not math.isfinite(loss):
        raise FloatingPointError(
            f"training diverged at step {step}: loss is {loss}; lower models[].training.learning_rate"
        )
    training.optimiser.zero_grad(set_to_none=True)
    objective.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    for group in training.optimiser.param_groups:
        group["lr"] = optimisation.learning_rate_at(step)
    training.optimiser.step()
    training.losses.append(loss)


def _losses(model: PreTrainedModel, batch: torch.Tensor) -> tuple[torch.Tensor, float]:
    """What training minimises, and the cross-entropy in nats per token; in mixtures of experts the two differ."""
    if not isinstance(model, MixtralForCausalLM):
        loss = model(input_ids=batch, labels=batch).loss
        return loss, loss.item()
    output = model(input_ids=batch, labels=batch, output_router_logits=True)
    return output.loss, (output.loss - model.router_aux_loss_coef * output.aux_loss).item()


def write_state(training: Training, file: str) -> None:
    """Write a training as safetensors: weights, the optimiser's moments, losses and the generator's state."""
    arrays = {"losses": torch.tensor(training.losses, dtype=torch.float64)}
    for name, parameter in training.model.named_parameters():
        arrays[f"weight/{name}"] = parameter.detach()
        for moment, array in training.optimiser.state[parameter].items():
            arrays[f"{moment}/{name}"] = array
    # safetensors takes one array per memory, contiguous
    save_file(
        {name: array.contiguous() for name, array in arrays.items()},
        file,
        {"rng": json.dumps(training.rng.bit_generator.state)},
    )


def read_state(training: Training, file: str) -> None:
    """Bring a training to the state that a file holds.

    Args:
        training: of the same model and optimisation, as :func:`begin` made it.
        file: as :func:`write_state` wrote it.

    Raises:
        DamagedFileError: the file cannot be read.
    """
    try:
        with safe_open(file, framework="pt") as state:
            arrays = {name: state.get_tensor(name) for name in state.keys()}  # noqa: SIM118  no mapping
            training.rng.bit_generator.state = json.loads(state.metadata()["rng"])
    except SafetensorError as error:
        raise DamagedFileError(f"{file}: cannot be read ({error}); delete it, and training begins again") from None
    training.losses[:] = arrays.pop("losses").tolist()
    parameters = dict(training.model.named_parameters())
    for key, array in arrays.items():
        kind, name = key.split("/", 1)
        if kind == "weight":
            parameters[name].data.copy_(array)
        else:
            # torch keeps the count of updates on the CPU
            place = array.device if kind == "step" else parameters[name].device
            training.optimiser.state[parameters[name]][kind] = array.to(place)
