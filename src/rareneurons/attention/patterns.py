"""Attention patterns of each head on rare and on common rows.

Rows are aligned by distance back from the query, where 0 is the query itself, over a window. Attention to tokens
farther back is added up. Attention to the first token is counted separately, whatever its distance. These
``window + 2`` shares sum to 1 and are called the row's *profile*.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import nn

from rareneurons.attention.row_reader import Progress, silent
from rareneurons.batches import batches_of_rows
from rareneurons.models.architectures import Architecture
from rareneurons.tokens import Blocks


@dataclass(frozen=True)
class Patterns:
    """Attention of H heads, layer by layer, at T rows.

    ``profile`` float32 (T, H, window + 2): shares of attention at distances 0, 1, ..., farther back, and at the first
    token. ``entropy`` (T, H): entropy of the whole pattern over ln of the number of visible tokens, 0 to 1.
    """

    profile: np.ndarray
    entropy: np.ndarray

    @property
    def first_token(self) -> np.ndarray:
        """Share of attention on the first token, (T, H)."""
        return self.profile[..., -1]


@contextmanager
def visible_patterns(architecture: Architecture) -> Iterator[None]:
    """While active, attention runs in its eager form, which returns the pattern."""
    before = architecture.model.config._attn_implementation
    architecture.model.set_attn_implementation("eager")
    try:
        yield
    finally:
        architecture.model.set_attn_implementation(before)


def profiles(pattern: torch.Tensor, position: torch.Tensor, window: int) -> torch.Tensor:
    """Attention (T, H, keys) of queries at positions (T,) as profiles (T, H, window + 2)."""
    distance = torch.arange(window, device=pattern.device)
    key = position[:, None] - distance  # (T, window); only positions after 0 are counted
    near = pattern.gather(-1, key.clamp_min(0)[:, None].expand(-1, pattern.shape[1], -1))
    near = torch.where((key > 0)[:, None], near, 0)
    first = pattern[..., :1]
    rest = (1 - near.sum(-1, keepdim=True) - first).clamp_min(0)
    return torch.cat([near, rest, first], -1)


def entropies(pattern: torch.Tensor, position: torch.Tensor) -> torch.Tensor:
    """Entropy (T, H) of attention (T, H, keys) of queries at positions (T,) >= 1, over ln of the visible tokens."""
    nats = -torch.xlogy(pattern, pattern).sum(-1)
    return nats / torch.log1p(position)[:, None]


@torch.inference_mode()
def attention_patterns(
    architecture: Architecture,
    blocks: Blocks,
    rows: pd.DataFrame,
    window: int,
    batch_size: int,
    progress: Progress = silent,
) -> Patterns:
    """Patterns of all heads at the rows, from one pass with eager attention over their blocks.

    Args:
        architecture: an open checkpoint.
        blocks: evaluation blocks.
        rows: T rows, in block and position order.
        window: number of distances that are counted separately.
        batch_size: blocks per pass.
        progress: reports the layer evaluations.
    """
    device = architecture.device
    found: list[tuple[torch.Tensor, torch.Tensor]] = []
    batches = batches_of_rows(blocks, rows, batch_size, device)
    total = sum(len(batch.tokens) for batch in batches) * architecture.n_layers
    with visible_patterns(architecture), progress("patterns", total) as advance:
        for batch in batches:
            with _PatternReader(architecture, *batch.at, window) as reader:
                architecture.base(input_ids=batch.tokens, use_cache=False)
            found.append((torch.cat(reader.profiles, 1).cpu(), torch.cat(reader.entropies, 1).cpu()))
            advance(len(batch.tokens) * architecture.n_layers)
    in_order = np.argsort(np.concatenate([batch.rows for batch in batches]))
    profile, entropy = (torch.cat(part).float().numpy()[in_order] for part in zip(*found, strict=True))
    return Patterns(profile, entropy)


class _PatternReader:
    """Reduces each layer's pattern to the rows at once, since a whole one has as many numbers as positions squared."""

    def __init__(self, architecture: Architecture, place: torch.Tensor, position: torch.Tensor, window: int) -> None:
        self.profiles: list[torch.Tensor] = []
        self.entropies: list[torch.Tensor] = []
        self._architecture, self._place, self._position, self._window = architecture, place, position, window
        self._handles: list[torch.utils.hooks.RemovableHandle] = []

    def __enter__(self) -> "_PatternReader":
        for layer in range(self._architecture.n_layers):
            self._handles.append(self._architecture.attention(layer).register_forward_hook(self._read))
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self._handles:
            handle.remove()

    def _read(self, _module: nn.Module, _inputs: tuple, output: tuple) -> None:
        pattern = output[1][self._place, :, self._position]
        self.profiles.append(profiles(pattern, self._position, self._window))
        self.entropies.append(entropies(pattern, self._position))


def divergence(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Jensen-Shannon divergence (...) between distributions (..., n), in bits: 0 where they are equal, at most 1."""

    def entropy(p: np.ndarray) -> np.ndarray:
        return -np.sum(p * np.log2(np.where(p > 0, p, 1)), axis=-1)

    return np.maximum(entropy((first + second) / 2) - (entropy(first) + entropy(second)) / 2, 0)


def cosine(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Cosine (...) between vectors (..., n)."""
    return (first * second).sum(-1) / (np.linalg.norm(first, axis=-1) * np.linalg.norm(second, axis=-1))


def shuffled_divergences(
    profile: np.ndarray, masks: np.ndarray, document: np.ndarray, n_permutations: int, rng: np.random.Generator
) -> np.ndarray:
    """Divergence between the two conditions' mean profiles when their labels are shuffled within each document.

    Args:
        profile: (T, H, n) profiles.
        masks: boolean (2, T), the rows of each condition.
        document: (T,) document of each row.
        n_permutations: how often labels are shuffled.
        rng: shuffles them.

    Returns:
        (permutations, H), bits. A document keeps its number of rows of each condition.
    """
    flat = profile.reshape(len(profile), -1).astype(np.float64)
    by_document = np.argsort(document, kind="stable")
    found = np.empty((n_permutations, profile.shape[1]))
    for number in range(n_permutations):
        shuffled = np.empty_like(masks)
        shuffled[:, by_document] = masks[:, np.lexsort((rng.random(len(document)), document))]
        means = (shuffled @ flat / shuffled.sum(1)[:, None]).reshape(2, *profile.shape[1:])
        found[number] = divergence(*means)
    return found
