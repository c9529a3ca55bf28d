"""Influence of every neuron of the last MLP: in closed form if that holds, else by the re-run from the final norm."""

from collections.abc import Callable, Iterable, Iterator, Mapping

import numpy as np
import torch

from rareneurons.errors import ConfigurationError, CorpusError
from rareneurons.influence.closed_form import Effect, delta_loss_tiles
from rareneurons.influence.final_norm import final_norm_rerun_tiles
from rareneurons.influence.sums import InfluenceSums
from rareneurons.influence.tiles import DeltaLoss, PairCounts, sum_by_document
from rareneurons.models.last_layer import LastLayer


def reference_values(
    trace: Mapping[str, np.ndarray], reference: str, document: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Values that replace the neurons' activations in ablation.

    Args:
        trace: ``activation`` (T, N) and ``mean_activation`` (N,).
        reference: ``mean`` over all evaluated positions, ``zero``, or ``resample``. The last takes the activations of a
            random row of another document, the same one for all neurons of a row.
        document: (T,) document ids.
        rng: draws the rows for ``resample``.

    Returns:
        (N,) for ``mean`` and ``zero``, (T, N) for ``resample``.

    Raises:
        CorpusError: ``resample`` with a single document.
    """
    if reference == "resample":
        return trace["activation"][rows_of_other_documents(document, rng)]
    return fixed_reference(trace, reference)


def fixed_reference(trace: Mapping[str, np.ndarray], reference: str) -> np.ndarray:
    """Reference values (N,) that are the same at every token, wherever a row is among others of its text.

    They are those of :func:`reference_values`, and the mean for ``resample``, whose values are drawn for chosen rows.
    """
    return np.zeros_like(trace["mean_activation"]) if reference == "zero" else trace["mean_activation"]


def rows_of_other_documents(document: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A random row of another document for each row, int64 (T,).

    Raises:
        CorpusError: all rows belong to one document.
    """
    if len(np.unique(document)) < 2:
        raise CorpusError("influence.reference: 'resample' requires rows of at least two documents; found one")
    drawn = rng.integers(0, len(document), size=len(document))
    while (same := document[drawn] == document).any():
        drawn[same] = rng.integers(0, len(document), size=int(same.sum()))
    return drawn


@torch.inference_mode()
def influence_by_document(
    layer: LastLayer,
    trace: Mapping[str, np.ndarray],
    reference: np.ndarray,
    target: np.ndarray,
    document: np.ndarray,
    masks: dict[str, np.ndarray],
    done: Callable[[DeltaLoss], object] = lambda tile: None,
    effect: Effect = "total",
    tolerance: float = 1e-5,
    memory_bytes: int = 2 * 1024**3,
) -> tuple[dict[str, InfluenceSums], PairCounts]:
    """Effects of all last-MLP neurons, added up by document for every mask over the rows.

    Args:
        layer: the model's last layer. The arithmetic runs on its device and in its dtype (a re-run in float64).
        trace: ``activation`` (T, N) and ``residual`` (T, d), as in :class:`Trace`.
        reference: (N,) or (T, N), as :func:`reference_values` returns it.
        target: (T,) ids of the next tokens.
        document: (T,) document ids.
        masks: name -> boolean (T,).
        done: receives each tile that is done, T x N pairs in all.
        effect: ``total`` or ``direct``, as for :func:`delta_loss_tiles`.
        tolerance: largest certified error of a pair in closed form, nats.
        memory_bytes: largest total size of the arrays made here.

    Returns:
        Name of the mask -> sums, and how many pairs were computed by each method.

    Raises:
        CheckpointError: an effect is NaN or infinite.
        ConfigurationError: the direct effect of a layer without a closed form.
    """
    device = layer.unembedding.device
    arrays = (
        torch.from_numpy(trace["residual"]).to(device),
        torch.from_numpy(trace["activation"]).to(device),
        torch.from_numpy(reference).to(device),
        torch.from_numpy(target.astype(np.int64)).to(device),
    )
    if layer.no_closed_form is None:
        tiles = delta_loss_tiles(layer, *arrays, "certified", effect, tolerance, memory_bytes)
    elif effect == "total":
        tiles = final_norm_rerun_tiles(layer, *arrays, memory_bytes)
    else:
        raise ConfigurationError(
            f"influence.effect: found {effect!r}, which keeps the final norm's scale fixed and has no meaning where "
            f"{layer.no_closed_form}; expected 'total' for this model"
        )
    tally: list[PairCounts] = []
    sums = sum_by_document(_reported(tiles, done), trace["activation"].shape[1], document, masks, tally.append)
    return sums, sum(tally, PairCounts())


def _reported(tiles: Iterable[DeltaLoss], done: Callable[[DeltaLoss], object]) -> Iterator[DeltaLoss]:
    for tile in tiles:
        yield tile
        done(tile)
