"""Figures of the models trained here."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from rareneurons.bands import unigram_entropy
from rareneurons.figures.palette import NULL_COLOUR
from rareneurons.figures.style import COLUMN_WIDTH, legend_below


def training_loss(losses: pd.DataFrame, counts: np.ndarray) -> Figure:
    """Loss by training step of each trained model, with ln V and the entropy of the training tokens.

    Args:
        losses: columns ``model``, ``step``, ``loss`` (nats per token).
        counts: (V,) how often the training tokens hold each type.
    """
    figure, axis = plt.subplots(figsize=(COLUMN_WIDTH, 2.0))
    # From black to a light grey: colours mean conditions and groups.
    greys = np.linspace(0, 0.6, losses["model"].nunique()).astype(str)
    for colour, (model, part) in zip(greys, losses.groupby("model", sort=False), strict=True):
        smooth = part["loss"].rolling(9, center=True, min_periods=1).mean()
        axis.plot(part["step"], part["loss"], color=colour, alpha=0.2, linewidth=0.5)
        axis.plot(part["step"], smooth, color=colour, label=str(model))
    for level, text in ((np.log(len(counts)), "ln V"), (unigram_entropy(counts), "unigram entropy")):
        axis.axhline(level, color=NULL_COLOUR, linestyle=":", linewidth=0.9)
        axis.text(losses["step"].max(), level, text, ha="right", va="bottom")
    axis.set_xlabel("training step")
    axis.set_ylabel("loss (nats per token)")
    legend_below(figure)
    return figure
