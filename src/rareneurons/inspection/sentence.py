"""Which neurons of the last MLP matter where in one text."""

import numpy as np
import pandas as pd
import torch

from rareneurons.errors import CorpusError
from rareneurons.influence.closed_form import delta_loss_matrix
from rareneurons.influence.final_norm import final_norm_rerun_tiles
from rareneurons.inspection.opening import OpenModel
from rareneurons.models.last_layer import LastLayer
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
    effects, losses = _effects(layer, trace.residual, trace.activation, trace.mean_activation, rows["target"])
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


@torch.inference_mode()
def _effects(
    layer: LastLayer, residual: np.ndarray, activation: np.ndarray, reference: np.ndarray, target: pd.Series
) -> tuple[np.ndarray, np.ndarray]:
    """Change of loss (T, N) and clean loss (T,), nats."""
    arrays = (
        torch.from_numpy(residual),
        torch.from_numpy(activation),
        torch.from_numpy(reference),
        torch.from_numpy(target.to_numpy(dtype=np.int64)),
    )
    losses = layer.losses(arrays[0], arrays[3]).double().numpy()
    if layer.no_closed_form is None:
        return delta_loss_matrix(layer, *arrays)[0].numpy(), losses
    effects = np.empty(activation.shape)
    for tile in final_norm_rerun_tiles(layer, *arrays, 2**30):
        effects[tile.rows, tile.neurons] = tile.values.numpy()
    return effects, losses
