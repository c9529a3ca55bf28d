"""What a page of neurons shows of their examples: texts token by token, and the rare tokens that a neuron helps."""

from typing import Any

import numpy as np
import pandas as pd

from rareneurons.examples.search import KINDS
from rareneurons.report.neurons import ARRIVED
from rareneurons.report.page import packed, script_that_calls

EXAMPLES = "examples"  # name of the script
SHOWN = 5  # examples per neuron and kind; the table has more
TOKENS_SHOWN = 15  # target tokens per neuron
LEAST_DOCUMENTS = 2  # of a target token; the effect at one place says little about the token


def examples_script(checkpoint: str, top_examples: pd.DataFrame, token_effects: pd.DataFrame) -> str:
    """The script with the examples of a model's neurons.

    Args:
        checkpoint: which the examples are of.
        top_examples: as :class:`rareneurons.examples.tables.Examples` has it. The first ``SHOWN`` per kind are shown.
        token_effects: likewise. The tokens that each neuron helps most are shown, among those that occur in at least
            ``LEAST_DOCUMENTS`` documents.
    """
    shown = top_examples[top_examples["rank"] <= SHOWN]
    helped = token_effects[(token_effects["n_documents"] >= LEAST_DOCUMENTS) & (token_effects["mean_delta_loss"] > 0)]
    helped = helped.sort_values(["neuron", "mean_delta_loss"], ascending=[True, False])
    helped = helped.groupby("neuron").head(TOKENS_SHOWN)
    windows = [token for tokens in shown["window_text"] for token in tokens]
    place, text = pd.factorize(np.array([*windows, *helped["target_text"]], dtype=object))
    return script_that_calls(
        ARRIVED,
        EXAMPLES,
        {
            "checkpoint": checkpoint,
            "kinds": list(KINDS),
            "text": text.tolist(),
            "examples": _examples(shown, place[: len(windows)]),
            "tokens": _tokens(helped, place[len(windows) :]),
        },
    )


def _examples(shown: pd.DataFrame, text: np.ndarray) -> dict[str, Any]:
    whole = {name: shown[name] for name in ("neuron", "rank", "document", "position", "window_start", "window_row")}
    whole |= {"kind": shown["kind"].map(KINDS.index), "length": shown["window_text"].map(len)}
    found = {name: packed(values.to_numpy(dtype=np.int64)) for name, values in whole.items()}
    found |= {name: packed(shown[name].to_numpy(dtype=np.float64)) for name in ("loss", "activation", "delta_loss")}
    for name in ("window_activation", "window_delta_loss"):
        found[name] = packed(np.concatenate([np.empty(0), *shown[name]]))
    return found | {"window_text": packed(text)}


def _tokens(helped: pd.DataFrame, text: np.ndarray) -> dict[str, Any]:
    found = {name: packed(helped[name].to_numpy(dtype=np.int64)) for name in ("neuron", "n_rows", "n_documents")}
    found |= {name: packed(helped[name].to_numpy()) for name in ("mean_delta_loss", "se_delta_loss")}
    return found | {"text": packed(text)}
