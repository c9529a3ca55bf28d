"""What the models that the workflow trains have learned: their last losses beside that of knowing frequencies alone."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from rareneurons.bands import unigram_entropy

LAST_STEPS = 20  # one batch is too few tokens for its loss to say where training ended


def final_losses(losses: pd.DataFrame, counts: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """Mean training loss of each model's last steps, and the loss of a model that knows token frequencies alone.

    Args:
        losses: columns ``model``, ``step``, ``loss`` (nats per token), one row per step.
        counts: model -> (V,), how often its training tokens hold each type.

    Returns:
        One row per model: ``steps``, the number of steps of training; ``loss``, the mean of the last ``LAST_STEPS`` of
        them; ``unigram_entropy``; and ``below_unigram``, the entropy less the loss. Losses are in nats per token.
    """
    records = []
    for model, part in losses.groupby("model", sort=False):
        last = float(part.sort_values("step")["loss"].tail(LAST_STEPS).mean())
        entropy = unigram_entropy(counts[str(model)])
        records.append((model, len(part), last, entropy, entropy - last))
    return pd.DataFrame(records, columns=["model", "steps", "loss", "unigram_entropy", "below_unigram"])
