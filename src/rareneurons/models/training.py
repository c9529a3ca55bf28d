"""Train a small GPT-NeoX model, Pythia's architecture, and hand out its checkpoints on Pythia's spacing."""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from transformers import GPTNeoXConfig, GPTNeoXForCausalLM, get_cosine_schedule_with_warmup

from rareneurons.errors import CorpusError


@dataclass(frozen=True)
class Shape:
    """Size of a GPT-NeoX model; the MLP has ``4 * hidden_size`` neurons per layer, as Pythia's."""

    hidden_size: int
    n_layers: int
    n_heads: int


@dataclass(frozen=True)
class Optimisation:
    """AdamW with a linear warm-up and a cosine decay to zero; one step sees ``batch_size * block_length`` tokens."""

    steps: int
    batch_size: int
    block_length: int
    learning_rate: float
    warmup_steps: int
    weight_decay: float


def untrained_model(shape: Shape, vocabulary_size: int, block_length: int, seed: int) -> GPTNeoXForCausalLM:
    """A GPT-NeoX model with random weights: parallel residual, rotary positions, untied unembedding."""
    config = GPTNeoXConfig(
        vocab_size=vocabulary_size,
        hidden_size=shape.hidden_size,
        num_hidden_layers=shape.n_layers,
        num_attention_heads=shape.n_heads,
        intermediate_size=4 * shape.hidden_size,
        max_position_embeddings=block_length,
        use_parallel_residual=True,
        tie_word_embeddings=False,
        bos_token_id=0,
        eos_token_id=0,
        pad_token_id=1,
    )
    # transformers draws initial weights from torch's global generator; the state is put back afterwards.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return GPTNeoXForCausalLM(config)


def random_blocks(tokens: np.ndarray, batch_size: int, block_length: int, rng: np.random.Generator) -> torch.Tensor:
    """A batch of windows at random offsets of a token stream, int64 (batch, block)."""
    starts = rng.integers(0, len(tokens) - block_length + 1, size=batch_size)
    return torch.from_numpy(np.stack([tokens[s : s + block_length] for s in starts]).astype(np.int64))


def train(
    model: GPTNeoXForCausalLM,
    tokens: np.ndarray,
    optimisation: Optimisation,
    save_at: Iterable[int],
    save: Callable[[int, GPTNeoXForCausalLM], None],
    rng: np.random.Generator,
    progress: Callable[[Iterable[int]], Iterable[int]] = iter,
) -> Iterator[dict[str, float]]:
    """Train in place, one yielded record a step.

    Args:
        model: the model to train, on the device it should train on.
        tokens: training token ids in order, integer (n,).
        optimisation: length, batch and learning-rate schedule.
        save_at: steps after which ``save(step, model)`` is called; step 0 is the untrained model.
        save: receives each checkpoint.
        rng: draws the batches.
        progress: wraps the loop over steps.

    Yields:
        ``step`` (the number of updates done before this batch was seen), ``loss`` (nats per token, mean over the
        batch) and ``learning_rate``.

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
    device = next(model.parameters()).device
    optimiser = torch.optim.AdamW(
        model.parameters(),
        lr=optimisation.learning_rate,
        betas=(0.9, 0.95),
        weight_decay=optimisation.weight_decay,
    )
    schedule = get_cosine_schedule_with_warmup(optimiser, optimisation.warmup_steps, optimisation.steps)
    model.train()
    if 0 in wanted:
        save(0, model)
    for step in progress(range(optimisation.steps)):
        batch = random_blocks(tokens, optimisation.batch_size, optimisation.block_length, rng).to(device)
        loss = model(input_ids=batch, labels=batch).loss
        if not math.isfinite(loss.item()):
            raise FloatingPointError(
                f"training diverged at step {step}: loss is {loss.item()}; lower models[].training.learning_rate"
            )
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        yield {"step": step, "loss": loss.item(), "learning_rate": schedule.get_last_lr()[0]}
        optimiser.step()
        schedule.step()
        if step + 1 in wanted:
            save(step + 1, model)
