"""Search for influential neurons in all layers: first-order scores, exact effects of the best, and the miss rate.

Attribution patching (Nanda 2023; Kramar et al. 2024, AtP*, arXiv 2403.00745) replaces an ablation by its first-order
effect, ``(reference - activation) * d loss / d activation``. One backward pass gives it for all neurons of all layers.
The score can be wrong. Therefore the neurons with the largest scores are computed exactly, and so is a random sample of
the others, which bounds the share that the screening misses.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import nn

from rareneurons.batches import Batch, batches_of_rows
from rareneurons.models.architectures import Architecture
from rareneurons.stats import NORMAL_95, largest_share, spearman
from rareneurons.tables import Estimate
from rareneurons.tokens import Blocks


def attribution_scores(
    architecture: Architecture,
    blocks: Blocks,
    rows: pd.DataFrame,
    references: dict[int, np.ndarray],
    batch_size: int,
    progress: Callable[[Iterable[Batch]], Iterable[Batch]] = iter,
) -> dict[int, np.ndarray]:
    """First-order effect of ablating every neuron of some layers on the mean loss of the rows.

    Args:
        architecture: an open checkpoint.
        blocks: evaluation blocks.
        rows: T rows, in block and position order.
        references: layer -> (N,) reference values.
        batch_size: blocks per pass.
        progress: wraps the loop over batches.

    Returns:
        Layer -> (N,) float64, nats. Neurons are ablated at all positions, as :func:`rerun_delta_loss` does.
    """
    device = architecture.device
    target_of_row = rows["target"].to_numpy().astype(np.int64)
    scores = {layer: np.zeros(len(reference)) for layer, reference in references.items()}
    kept: dict[int, torch.Tensor] = {}

    def keep(layer: int) -> Callable[[nn.Module, tuple], None]:
        def hook(_module: nn.Module, inputs: tuple) -> None:
            inputs[0].retain_grad()
            kept[layer] = inputs[0]

        return hook

    embeddings = architecture.model.get_input_embeddings()
    handles = [architecture.mlp_output(layer).register_forward_pre_hook(keep(layer)) for layer in references]
    handles.append(embeddings.register_forward_hook(lambda _module, _inputs, output: output.requires_grad_()))
    try:
        for batch in progress(batches_of_rows(blocks, rows, batch_size, device)):
            normed = architecture.base(input_ids=batch.tokens, use_cache=False).last_hidden_state[batch.at]
            target = torch.from_numpy(target_of_row[batch.rows]).to(device)
            nn.functional.cross_entropy(architecture.logits(normed), target, reduction="sum").backward()
            for layer, activation in kept.items():
                assert activation.grad is not None
                gradient = activation.grad.double().cpu().numpy()
                change = references[layer] - activation.detach().double().cpu().numpy()
                scores[layer] += (gradient * change).sum((0, 1))
    finally:
        for handle in handles:
            handle.remove()
    return {layer: total / len(rows) for layer, total in scores.items()}


def candidates_and_sample(
    scores: np.ndarray, n_candidates: int, n_sample: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Neurons with the largest absolute scores, best first, and a random sample of the others.

    Args:
        scores: (N,) first-order effects.
        n_candidates: number of candidates.
        n_sample: largest number of sampled others.
        rng: draws the sample.
    """
    order = np.argsort(-np.abs(scores), kind="stable")
    others = order[n_candidates:]
    return order[:n_candidates], rng.permutation(others)[:n_sample]


@dataclass(frozen=True)
class MissRate:
    """Share of the screened-out neurons that belong to the ``top`` most influential after all.

    ``threshold`` nats: the exact |mean dL| of the ``top``-th candidate; ``missed`` of ``sampled`` neurons exceed it;
    ``upper`` is the one-sided Clopper-Pearson bound of their share.
    """

    top: int
    threshold: float
    missed: int
    sampled: int
    upper: float


def miss_rate(
    candidate_effects: Sequence[float], sample_effects: Sequence[float], top: int, level: float = 0.95
) -> MissRate:
    """Bound the share that a screening misses, from exact effects of its candidates and of a sample of the others.

    Args:
        candidate_effects: exact mean dL of the candidates, nats, at least ``top`` of them.
        sample_effects: exact mean dL of the sampled others, nats.
        top: number of most influential neurons to find.
        level: confidence of the bound.

    Raises:
        ValueError: fewer candidates than ``top``.
    """
    if len(candidate_effects) < top:
        raise ValueError(f"top: {top} neurons are wanted from {len(candidate_effects)} candidates; screen more neurons")
    threshold = float(np.sort(np.abs(candidate_effects))[-top])
    sampled = len(sample_effects)
    missed = int(np.sum(np.abs(sample_effects) > threshold))
    return MissRate(top, threshold, missed, sampled, largest_share(missed, sampled, level))


def rank_correlation(first: np.ndarray, second: np.ndarray) -> tuple[float, float, float]:
    """Spearman's rho and its 95 % interval by Fisher's transformation (Bonett & Wright 2000, eq. 7).

    Args:
        first: (n,) values.
        second: (n,) values of the same neurons.

    Returns:
        Rho, lower and upper end. They are NaN with fewer than four neurons, or if the values are constant.
    """
    if len(first) < 4 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return float("nan"), float("nan"), float("nan")
    rho = spearman(first, second)
    half = NORMAL_95 * np.sqrt((1 + rho**2 / 2) / (len(first) - 3))
    with np.errstate(divide="ignore"):  # at rho = 1 the interval shrinks to a point
        centre = np.arctanh(rho)
    return rho, float(np.tanh(centre - half)), float(np.tanh(centre + half))


def screening_estimates(
    exact: np.ndarray, first_order: np.ndarray, sampled: np.ndarray, top: int
) -> list[tuple[str, Estimate]]:
    """Quality of first-order scores in finding the influential neurons of one layer.

    Args:
        exact: (n,) mean dL of the candidates and of a random sample of the others, nats.
        first_order: (n,) their first-order scores on the same rows, nats.
        sampled: boolean (n,), False for candidates.
        top: number of most influential neurons to find.

    Returns:
        (group, estimate). For the group ``sample``: the ``miss_rate``, with its one-sided 95 % bound as ``ci_high`` and
        the number of sampled neurons as ``n`` (0 with ``n`` = 0 if nothing was screened out). For ``candidates``: the
        ``threshold``, the exact |mean dL| of the ``top``-th. For both: the ``rank_correlation`` of score and effect.

    Raises:
        ValueError: fewer candidates than ``top``.
    """
    missed = miss_rate(exact[~sampled].tolist(), exact[sampled].tolist(), top)
    n = missed.sampled
    rate, upper = (missed.missed / n, missed.upper) if n else (0.0, 0.0)
    found = [
        ("sample", Estimate("miss_rate", rate, "share of neurons", n, 0.0, upper)),
        ("candidates", Estimate("threshold", missed.threshold, "nats", len(exact) - n)),
    ]
    for group, mine in (("candidates", ~sampled), ("sample", sampled)):
        rho, low, high = rank_correlation(first_order[mine], exact[mine])
        found.append((group, Estimate("rank_correlation", rho, "Spearman's rho", int(mine.sum()), low, high)))
    return found
