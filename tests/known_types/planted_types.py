"""Last layers with planted entropy and token-frequency neurons, and the tables that their types are declared from."""

import numpy as np
import pandas as pd
import torch

from rareneurons.influence.closed_form import delta_loss_matrix
from rareneurons.known_types.neurons import neuron_properties
from rareneurons.known_types.weights import unigram_direction
from rareneurons.models.last_layer import LastLayer, Norm

WIDTH, VOCABULARY, ROWS = 64, 200, 120


def random_layer(rng: np.random.Generator, n=30, kind="layer_norm") -> LastLayer:
    def tensor(*shape: int) -> torch.Tensor:
        return torch.from_numpy(rng.normal(size=shape))

    norm = Norm(kind, 1 + 0.1 * tensor(WIDTH), torch.zeros(WIDTH, dtype=torch.float64), 1e-5)
    unembedding = tensor(VOCABULARY, WIDTH) * 0.3
    return LastLayer(tensor(n, WIDTH) * 0.1, unembedding, 0.1 * tensor(VOCABULARY), norm, {})


def counts_of(rng: np.random.Generator) -> np.ndarray:
    """Token counts over several powers of ten."""
    return np.round(np.exp(rng.uniform(0, 9, VOCABULARY))).astype(np.int64)


def planted_layer(rng: np.random.Generator, counts: np.ndarray, n: int, planted: int, strength: float) -> LastLayer:
    """A layer whose first ``planted`` neurons are entropy neurons and the next ``planted`` token-frequency neurons.

    One direction of the residual stream is that of the unigram distribution, by ``strength``: all neurons write into it
    by chance, and token-frequency neurons write nothing else. Entropy neurons write where the unembedding reads least.
    """
    layer = random_layer(rng, n, "rms_norm")
    axis = torch.from_numpy(rng.normal(size=WIDTH))
    axis /= axis.norm()
    layer.unembedding.add_(strength * torch.outer(torch.from_numpy(unigram_direction(counts, VOCABULARY)), axis))
    noise = torch.from_numpy(rng.normal(size=(2 * planted, WIDTH)))
    least = torch.linalg.eigh(layer.unembedding.T @ layer.unembedding)[1][:, 0]
    layer.output_weight[:planted] = (4 * least + 0.02 * noise[:planted]) / layer.norm.gain
    layer.output_weight[planted : 2 * planted] = (axis + 0.01 * noise[planted:]) / layer.norm.gain
    return layer


def properties_of(layer: LastLayer, counts: np.ndarray, rng: np.random.Generator) -> pd.DataFrame:
    """The table of neurons, from random residuals, activations and targets."""
    n = len(layer.output_weight)
    activation = rng.normal(size=(ROWS, n))
    residual = 2 * rng.normal(size=(ROWS, WIDTH))
    split = np.where(np.arange(ROWS) % 2 == 0, "heldout", "discovery")
    rows = pd.DataFrame({"target": rng.integers(0, VOCABULARY, ROWS), "split": split, "in_rare": True})
    arrays = residual, activation, np.zeros(n), rows["target"].to_numpy()
    effects = delta_loss_matrix(layer, *map(torch.from_numpy, arrays))[0].numpy()
    influence = pd.concat(
        pd.DataFrame(
            {
                "layer": 3,
                "neuron": np.arange(n),
                "condition": "rare",
                "split": part,
                "mean_abs_delta_loss": np.abs(effects[split == part]).mean(0),
            }
        )
        for part in ("discovery", "heldout")
    ).sample(frac=1, random_state=0)
    trace = {"residual": residual, "activation": activation}
    more = np.zeros(n), rows, influence, "rare", counts, np.arange(VOCABULARY), rng
    return neuron_properties(layer, trace, *more)
