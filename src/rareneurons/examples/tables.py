"""The tables of a checkpoint's examples: texts token by token, and effects by target token."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from rareneurons.examples.search import searched
from rareneurons.examples.token_effects import effects_by_target
from rareneurons.examples.windows import Ablation, windows_around
from rareneurons.influence.at_rows import clean_losses
from rareneurons.influence.sums import with_experts
from rareneurons.models.architectures import Architecture
from rareneurons.rows import condition_names, in_condition
from rareneurons.tables import IDENTITY, CheckpointName
from rareneurons.tokens import Blocks

EXAMPLES = 10  # per neuron and kind
TextOf = Callable[[Iterable[int]], Mapping[int, str]]
NEURON = [*IDENTITY, "layer", "neuron"]
EXAMPLE_COLUMNS = [
    *NEURON,
    *("kind", "rank", "document", "block", "position", "conditions", "target", "target_text"),
    *("loss", "activation", "delta_loss"),
    *("window_start", "window_row", "window_tokens", "window_text", "window_activation", "window_delta_loss"),
]
TOKEN_COLUMNS = [
    *NEURON,
    *("condition", "split", "target", "target_text"),
    *("n_rows", "n_documents", "mean_delta_loss", "se_delta_loss"),
]


@dataclass(frozen=True)
class Examples:
    """What neurons do where, on held-out rows.

    ``top_examples`` (``EXAMPLE_COLUMNS``): one row per neuron, ``kind`` (``search.KINDS``) and ``rank``. ``position``
    is that of the row's input token; ``target`` is the token after it, and ``loss``, ``activation`` and ``delta_loss``
    are those of the row. The columns ``window_...`` are lists over the tokens around the row, from position
    ``window_start`` on; the row's own token is number ``window_row``. ``window_delta_loss`` is the change of the loss
    of the token that follows.

    ``token_effects`` (``TOKEN_COLUMNS``): one row per neuron and target token of the rare rows, from the largest mean
    effect down.

    A mixture of experts has a column ``expert`` as well. Losses are in nats.
    """

    top_examples: pd.DataFrame
    token_effects: pd.DataFrame


def checkpoint_examples(
    checkpoint: CheckpointName,
    architecture: Architecture,
    ablation: Ablation,
    trace: Mapping[str, np.ndarray],
    blocks: Blocks,
    rows: pd.DataFrame,
    neurons: np.ndarray,
    condition: str,
    text_of: TextOf,
    batch_size: int,
    top: int = EXAMPLES,
    progress: Callable[[Iterable[Any]], Iterable[Any]] = iter,
) -> Examples:
    """Examples of some neurons of the last MLP, at the held-out rows.

    Args:
        checkpoint: its name.
        architecture: the open checkpoint.
        ablation: of its last layer.
        trace: the arrays of :class:`Trace` by name.
        blocks: evaluation blocks.
        rows: T rows, in block and position order.
        neurons: (n,) indices of the neurons.
        condition: target tokens are those of its rows.
        text_of: token ids -> text of each in which every character is visible.
        batch_size: blocks per forward pass.
        top: examples per neuron and kind, at most.
        progress: wraps the loop over batches.

    Raises:
        CheckpointError: an effect is NaN or infinite.
    """
    heldout = np.flatnonzero(rows["split"] == "heldout")
    mine, layer = rows.iloc[heldout].reset_index(drop=True), int(trace["layer"][0])
    residual, activation = trace["residual"][heldout], trace["activation"][heldout]
    effects = ablation.effects(residual, activation, mine["target"].to_numpy(), neurons)
    examples = _extreme_rows(activation[:, neurons].astype(np.float64), effects, mine, neurons, top)
    at = examples.pop("row").to_numpy()
    examples["loss"] = clean_losses(ablation.layer, residual[at], examples["target"].to_numpy())
    windows = windows_around(architecture, ablation, blocks, examples, batch_size, progress)
    by_target = _by_target(effects, mine, neurons, condition)
    text = text_of(np.unique(np.concatenate([np.empty(0, dtype=np.int64), *windows.tokens, by_target["target"]])))
    examples = examples.assign(
        window_start=windows.start,
        window_row=examples["position"] - windows.start,
        window_tokens=_lists(windows.tokens),
        window_text=_lists([[text[int(token)] for token in tokens] for tokens in windows.tokens]),
        window_activation=_lists(windows.activation),
        window_delta_loss=_lists(windows.delta_loss),
    )
    return Examples(
        _finished(examples, EXAMPLE_COLUMNS, text, checkpoint, layer, ablation.layer.expert),
        _finished(by_target, TOKEN_COLUMNS, text, checkpoint, layer, ablation.layer.expert),
    )


def _extreme_rows(
    activation: np.ndarray, effects: np.ndarray, rows: pd.DataFrame, neurons: np.ndarray, top: int
) -> pd.DataFrame:
    """The examples by neuron, kind and rank, with what is known of each row; ``row``: its place among ``rows``.

    ``activation`` and ``effects`` (T, n): of the neurons (n,) at the T rows.
    """
    parts = []
    for kind, found in searched(activation, effects, rows["document"].to_numpy(), top).items():
        at = found.row, found.neuron
        numbers = {"activation": activation[at], "delta_loss": effects[at]}
        parts.append(
            pd.DataFrame(
                {"neuron": neurons[found.neuron], "kind": kind, "rank": found.rank, "row": found.row} | numbers
            )
        )
    examples = pd.concat(parts, ignore_index=True).sort_values("neuron", kind="stable", ignore_index=True)
    there = rows.iloc[examples["row"]].reset_index(drop=True)
    return examples.join(there[["document", "block", "position", "target"]]).assign(conditions=_conditions(there))


def _lists(values: Sequence[Any]) -> pd.Series:
    """A column with a list or an array in each row."""
    return pd.Series(list(values), dtype=object)


def _conditions(rows: pd.DataFrame) -> pd.Series:
    """Names of the conditions that each row is in."""
    names = condition_names(rows)
    inside = np.column_stack([in_condition(rows, name) for name in names])
    return _lists([[name for name, is_in in zip(names, row, strict=True) if is_in] for row in inside])


def _by_target(effects: np.ndarray, rows: pd.DataFrame, neurons: np.ndarray, condition: str) -> pd.DataFrame:
    inside = in_condition(rows, condition)
    target, document = (rows[name].to_numpy()[inside] for name in ("target", "document"))
    table = effects_by_target(effects[inside], target, document)
    table = table.assign(neuron=neurons[table["neuron"]], condition=condition, split="heldout")
    return table.sort_values(["neuron", "mean_delta_loss"], ascending=[True, False], ignore_index=True)


def _finished(
    table: pd.DataFrame,
    columns: list[str],
    text: Mapping[int, str],
    checkpoint: CheckpointName,
    layer: int,
    expert: np.ndarray | None,
) -> pd.DataFrame:
    """The table with the identity, the layer and its targets' text, and with experts in a mixture of experts."""
    named = table.assign(layer=layer, target_text=[text[int(token)] for token in table["target"]])
    return with_experts(checkpoint.labelled(named)[columns], expert)
