"""Effects of ablating every neuron by itself, and all neurons of a set together."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from tqdm.auto import tqdm

from rareneurons.evaluation import EvaluationRows
from rareneurons.evidence import Evidence
from rareneurons.influence.closed_form import Effect
from rareneurons.influence.estimates import CheckpointInfluence, InfluenceSettings, checkpoint_influence
from rareneurons.influence.last_mlp import reference_values
from rareneurons.inspection.opening import OpenModel
from rareneurons.inspection.sizes import DEFAULT, Sizes
from rareneurons.inspection.texts import PAIR, BandOfTypes, Counts, Question, Texts, chosen_rows
from rareneurons.known_types.neurons import neuron_properties
from rareneurons.models.last_layer import LastLayer
from rareneurons.trace import trace_rows


@dataclass(frozen=True)
class TracedModel:
    """A model's activations at the chosen rows.

    ``trace``: the arrays of :class:`Trace` by name; ``layer``: the last layer, float32 on the CPU, and ``arrays`` of
    it; ``device``: where the arithmetic of ablation runs; ``shows``: whether progress bars are shown.
    """

    model: OpenModel
    rows: EvaluationRows
    question: Question
    trace: Mapping[str, np.ndarray]
    arrays: Mapping[str, np.ndarray]
    device: str
    shows: bool

    @property
    def layer(self) -> LastLayer:
        """The last layer."""
        return LastLayer.from_arrays(self.arrays)

    @property
    def evidence(self) -> Evidence:
        """What measures of groups take."""
        return Evidence(self.model.name, PAIR, self.rows.rows, self.trace["activation"], self.arrays)

    def generator(self, what: str) -> np.random.Generator:
        """Random generator of what is computed for this checkpoint."""
        return self.question.generator(f"{what}/{self.model.name.model}/{self.model.name.checkpoint}")

    def progress(self, what: str) -> Callable[[Iterable[Any]], Iterable[Any]]:
        """Wrapper of a loop that shows a bar, if bars are shown."""
        return lambda items: tqdm(items, desc=what, disable=not self.shows, leave=False)


def traced(model: OpenModel, rows: EvaluationRows, question: Question, progress: bool) -> TracedModel:
    """Run a model over the chosen rows.

    Raises:
        CheckpointError: the rows do not fit the model, or an activation is NaN or infinite.
    """
    architecture = model.architecture
    device = "cpu" if architecture.device.type == "mps" else str(architecture.device)  # MPS has no float64
    trace = trace_rows(
        architecture,
        rows.blocks,
        rows.rows,
        question.sizes.batch_size,
        lambda batches: tqdm(batches, desc="forward passes", disable=not progress, leave=False),
    )
    arrays = architecture.last_layer().to("cpu", torch.float32).arrays()
    arrays = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    return TracedModel(model, rows, question, vars(trace), arrays, device, progress)


def all_influence(
    traced: TracedModel,
    rng: np.random.Generator,
    effect: Effect = "total",
    reference: str = "mean",
    shuffles: int = 1,
) -> CheckpointInfluence:
    """Influence of every neuron of the last MLP, with its sums by document and shuffled labels.

    ``rng`` draws the rows of the reference ``resample``.
    """
    settings = InfluenceSettings(
        reference, effect, memory_gib=traced.question.sizes.memory_gib, shuffles=shuffles, device=traced.device
    )
    with tqdm(
        total=traced.trace["activation"].size, desc="influence", unit=" pairs", unit_scale=True,
        disable=not traced.shows, leave=False,
    ) as bar:  # fmt: skip
        return checkpoint_influence(
            traced.model.name,
            traced.layer,
            traced.trace,
            traced.rows.rows,
            PAIR,
            settings,
            rng,
            traced.question.generator("influence"),
            lambda tile: bar.update(tile.values.numel()),
        )


def all_properties(traced: TracedModel, found: CheckpointInfluence, rng: np.random.Generator) -> pd.DataFrame:
    """Properties and types of every neuron (:func:`neuron_properties`), from the rows of its influence.

    The unigram counts are those of the rows' ``frequencies``, where special tokens have none. ``rng`` draws random
    directions.
    """
    frequencies = traced.rows.frequencies
    counts = np.zeros(int(frequencies["token"].max()) + 1, dtype=np.int64)
    counts[frequencies["token"]] = frequencies["count"]
    neurons = neuron_properties(
        traced.layer.to(traced.device, torch.float32),
        traced.trace,
        found.reference,
        traced.rows.rows,
        found.table,
        PAIR[0],
        counts,
        frequencies["token"].to_numpy(),
        rng,
        traced.progress("properties of neurons"),
    )
    return traced.model.name.labelled(neurons)


def reference_of(traced: TracedModel, reference: str = "mean") -> np.ndarray:
    """The values that replace activations in joint ablation, (N,)."""
    document = traced.rows.rows["document"].to_numpy()
    return reference_values(traced.trace, reference, document, traced.generator("joint"))


def influence(
    model: OpenModel,
    texts: Texts,
    rare: BandOfTypes = "paper_rare",
    common: BandOfTypes = "paper_common",
    effect: Effect = "total",
    reference: str = "mean",
    counts: Counts = None,
    sizes: Sizes = DEFAULT,
    seed: int = 0,
    progress: bool = True,
) -> pd.DataFrame:
    """Influence of every neuron of the last MLP: change of the target's loss when it is ablated, nats.

    It is computed in closed form with a certified error if the architecture has one, else by an exact re-run from the
    final norm (docs/methods.md; paper section 3).

    Args:
        model: an open model.
        texts: a list of documents, a file of documents, or the folder of a run's rows. Half of the documents are for
            discovery, half are held out.
        rare: band of token types that the rare rows' targets are from: the name of a preset, or two rank fractions.
        common: the same for common rows.
        effect: ``total`` recomputes the final norm, ``direct`` keeps its scale.
        reference: what replaces an activation: ``mean``, ``zero`` or ``resample``.
        counts: token counts of the model's training corpus, an array (V,) or a .npy file. By default the tokens of the
            texts are counted; with little text, most types of a large vocabulary have no count.
        sizes: how much is computed.
        seed: of every random draw.
        progress: whether bars are shown.

    Returns:
        One row per neuron, condition and split, with the columns of a run's ``influence.parquet``
        (``tables.INFLUENCE_COLUMNS``).

    Raises:
        CheckpointError: the model cannot be used.
        CorpusError: the texts or counts cannot be used, or are too few.
        ConfigurationError: a band cannot be used, or there is no direct effect.

    Examples:
        >>> table = rareneurons.influence(open_model, texts, rare=(0.5, 1), common=(0, 0.5), progress=False)
        >>> heldout = table[(table["condition"] == "rare") & (table["split"] == "heldout")]
        >>> len(heldout)
        64
        >>> list(heldout.columns[:8])
        ['model', 'checkpoint', 'step', 'layer', 'neuron', 'condition', 'split', 'n_rows']
    """
    question = Question(rare, common, counts, sizes, seed)
    looked = traced(model, chosen_rows(model, texts, question), question, progress)
    return all_influence(looked, looked.generator("influence"), effect, reference).table
