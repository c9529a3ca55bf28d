"""Which neurons of the last MLP matter where in one text."""

import numpy as np
import pandas as pd
import torch

from rareneurons.errors import CorpusError
from rareneurons.influence.at_rows import clean_losses, effects_at_rows
from rareneurons.inspection.opening import OpenModel
from rareneurons.rows import candidate_rows
from rareneurons.tokens import document_blocks, visible_tokens
from rareneurons.trace import trace_rows

MOST_TOKENS = 1024


def where(model: OpenModel, text: str, top: int = 3) -> pd.DataFrame:
    """The neurons whose ablation changes the loss of each token of a text most.

    An ablated neuron is held at its mean over the text. Positions 0 to 2 are left out, as everywhere here.

    Args:
        model: an open model with a tokenizer.
        text: one text, at most ``MOST_TOKENS`` tokens of it are read.
        top: neurons per token.

    Returns:
        One row per token and neuron, from the largest absolute change down: ``position`` and ``token`` of the target,
        ``loss`` (nats), ``layer``, ``neuron``, ``activation`` at the token before it, and ``delta_loss`` (nats).

    Raises:
        CorpusError: the text is too short, or there is no tokenizer.
        CheckpointError: the model cannot be used.

    Examples:
        >>> found = rareneurons.where(open_model, texts[0], top=2)
        >>> list(found.columns)
        ['position', 'token', 'loss', 'layer', 'neuron', 'activation', 'delta_loss']
    """
    tokenizer = model.needed_tokenizer
    documents = pd.DataFrame({"document": [0], "text": [text]})
    positions = getattr(model.architecture.model.config, "max_position_embeddings", MOST_TOKENS)
    blocks = document_blocks(tokenizer, documents, min(MOST_TOKENS, positions))
    rows = candidate_rows(blocks)
    if rows.empty:
        raise CorpusError(
            f"text: found {int(blocks.length[0]) - 1} tokens, the first of which have too little context; expected at "
            "least 4"
        )
    trace = trace_rows(model.architecture, blocks, rows, 1)
    layer = model.architecture.last_layer().to("cpu", torch.float32)
    target = rows["target"].to_numpy(dtype=np.int64)
    neurons = np.arange(trace.activation.shape[1])
    effects = effects_at_rows(layer, trace.residual, trace.activation, trace.mean_activation, target, neurons)
    losses = clean_losses(layer, trace.residual, target)
    order = np.argsort(-np.abs(effects), axis=1)[:, :top]
    row, neuron = np.repeat(np.arange(len(rows)), order.shape[1]), order.ravel()
    text_of = visible_tokens(tokenizer, rows["target"])
    return pd.DataFrame(
        {
            "position": rows["position"].to_numpy()[row] + 1,
            "token": [text_of[token] for token in rows["target"].to_numpy()[row]],
            "loss": losses[row],
            "layer": int(trace.layer[0]),
            "neuron": neuron,
            "activation": trace.activation[row, neuron],
            "delta_loss": effects[row, neuron],
        }
    )
