"""Figures of the models trained here."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from rareneurons.figures.palette import NULL_COLOUR
from rareneurons.figures.style import COLUMN_WIDTH


def training_loss(logs: pd.DataFrame, unigram_entropy: float, vocabulary_size: int) -> Figure:
    """Loss against training step of each trained model, with ln V and the corpus's unigram entropy.

    Args:
        logs: columns ``model``, ``step``, ``loss`` (nats per token).
        unigram_entropy: of the training tokens, nats.
        vocabulary_size: V.
    """
    figure, axis = plt.subplots(figsize=(COLUMN_WIDTH, 2.4))
    palette = sns.color_palette("colorblind", logs["model"].nunique())
    for colour, (model, part) in zip(palette, logs.groupby("model", sort=False), strict=True):
        smooth = part["loss"].rolling(9, center=True, min_periods=1).mean()
        axis.plot(part["step"], part["loss"], color=colour, alpha=0.2, linewidth=0.5)
        axis.plot(part["step"], smooth, color=colour, label=str(model))
    for level, text in ((np.log(vocabulary_size), "ln V"), (unigram_entropy, "unigram entropy")):
        axis.axhline(level, color=NULL_COLOUR, linestyle=":", linewidth=0.9)
        axis.text(logs["step"].max(), level, text, ha="right", va="bottom", fontsize=7)
    axis.set_xlabel("training step")
    axis.set_ylabel("loss (nats per token)")
    axis.legend()
    return figure
